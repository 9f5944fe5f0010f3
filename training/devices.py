"""The devices of a training run: one, several in this machine, or several machines."""

import functools
import json
import os

import tensorflow as tf
from configuration import UsageError, asked

from tfface.commands.startup import quiet_stderr


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
        name = (
            "multi_worker"
            if os.environ.get("TF_CONFIG")
            else "mirrored"
            if len(gpus) > 1
            else "single"
        )
    if name == "multi_worker":
        _check_cluster(os.environ.get("TF_CONFIG"))
        return _several_machines()
    if name == "mirrored":
        return _one_machine(bool(gpus))
    return tf.distribute.get_strategy()


# One for all runs of a process: the collective operations of a second strategy would meet those of
# the first.


@functools.cache
def _several_machines():
    with quiet_stderr():  # It tells of every connection.
        return asked(tf.distribute.MultiWorkerMirroredStrategy)


@functools.cache
def _one_machine(has_gpus):
    # Without GPUs it mirrors over the logical CPU devices, as tests do.
    devices = None if has_gpus else [d.name for d in tf.config.list_logical_devices("CPU")]
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
    """Raises UsageError unless TF_CONFIG names a cluster and this process's place in it."""
    if not text:
        raise UsageError(
            "strategy multi_worker needs TF_CONFIG in the environment, which is not set"
        )
    try:
        values = json.loads(text)
        task = values["task"]
        values["cluster"][task["type"]][task["index"]]
    except (ValueError, TypeError, LookupError) as error:
        raise UsageError(
            'TF_CONFIG must be as {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}, with this worker\'s own index. Received: {text}'
        ) from error


def is_chief(strategy):
    """Whether this process writes the run folder: the only one, the chief, or else worker 0."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_id is None:
        return True
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)
