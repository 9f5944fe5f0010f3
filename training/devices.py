"""The devices of a training run: one, several in this machine, or several machines."""

import functools
import json
import os
import socket

import tensorflow as tf
from configuration import UsageError, asked

from tfface.commands.startup import quiet_stderr

SLURM_TASKS = "SLURM_STEP_NUM_TASKS"
"""What `srun` sets to the number of processes that it starts."""

FIRST_PORT, PORTS = 15_000, 15_000
"""Where the workers of a SLURM job listen: the first port, and among how many jobs are spread."""


def make_strategy(name):
    """The `tf.distribute` strategy of that name.

    Raises:
        UsageError: If this machine cannot give it.
    """
    with quiet_stderr():  # It complains where there is no GPU.
        gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if name == "auto":
        name = "multi_worker" if in_cluster() else "mirrored" if len(gpus) > 1 else "single"
    if name == "multi_worker":
        if not os.environ.get("TF_CONFIG"):
            os.environ["TF_CONFIG"] = _slurm_cluster()
        return _several_machines(os.environ["TF_CONFIG"])
    if name == "mirrored":
        # Without GPUs it mirrors over the logical CPU devices, as tests do.
        devices = tf.config.list_logical_devices("GPU" if gpus else "CPU")
        names = tuple(device.name for device in devices)
        if len(names) < 2:
            raise UsageError(f"strategy mirrored needs several devices. Received: {names}")
        return _one_machine(names)
    return tf.distribute.get_strategy()


def in_cluster():
    """Whether this process is one of several workers: by TF_CONFIG, or by SLURM's variables."""
    return bool(os.environ.get("TF_CONFIG")) or os.environ.get(SLURM_TASKS, "") not in ("", "1")


def _slurm_cluster():
    """The cluster of this SLURM step as TF_CONFIG has it.

    Which GPUs a task sees is left to SLURM (`srun --gpus-per-task`). Ports follow from the job's
    number, so that two jobs on one node do not meet.

    Raises:
        UsageError: If SLURM's variables are not all there, or wrong.
    """
    if not os.environ.get(SLURM_TASKS):
        raise UsageError(
            "strategy multi_worker needs TF_CONFIG in the environment, or SLURM's srun. "
            "Received: neither"
        )
    try:
        tasks = int(os.environ[SLURM_TASKS])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=FIRST_PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % PORTS,
            gpus_per_node=tasks,  # the resolver divides by them, also where there are none
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        cluster = resolver.cluster_spec().as_dict()
        kind, index = resolver.get_task_info()
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(f"SLURM's variables name no cluster: {error}") from error
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


# One for all runs of a process: the collective operations of a second strategy would meet those of
# the first.


@functools.cache
def _several_machines(cluster):
    _check_cluster(cluster)
    with quiet_stderr():  # It tells of every connection.
        return asked(tf.distribute.MultiWorkerMirroredStrategy)


@functools.cache
def _one_machine(devices):
    return tf.distribute.MirroredStrategy(devices)


def wait_for_all(strategy):
    """Returns when every worker process has come here.

    The last thing of a job: a worker that finds the chief gone while it works takes it for a crash.
    """
    if strategy.cluster_resolver is None:
        return

    def count():
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1))

    tf.function(lambda: strategy.run(count), autograph=False)()


def _check_cluster(text):
    """Raises UsageError unless TF_CONFIG names a cluster and a free place in it for this worker."""
    try:
        values = json.loads(text)
        task = values["task"]
        host, _, port = values["cluster"][task["type"]][task["index"]].rpartition(":")
        port = int(port)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UsageError(
            'TF_CONFIG must be as {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}, with this worker\'s own index. Received: {text}'
        ) from error
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))  # as TensorFlow's server does, whatever the host is called
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"TF_CONFIG says that this worker listens at {host}:{port}, which it cannot: "
                f"{getattr(error, 'strerror', None) or error}"
            ) from error


def is_chief(strategy):
    """Whether this process writes the run folder: the only one, the chief, or else worker 0."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_id is None:
        return True
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)
