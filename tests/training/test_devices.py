"""Which devices a training script takes, and what it says where there are none."""

import json
import socket

import pytest
import tensorflow as tf
from configuration import UsageError
from devices import FIRST_PORT, PORTS, _slurm_cluster, in_cluster, is_chief, make_strategy


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """An environment that names no cluster."""
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


CLUSTER = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}}


@pytest.mark.parametrize(
    "text",
    [
        "{bad",
        "[]",
        "{}",
        json.dumps(CLUSTER),
        json.dumps(CLUSTER | {"task": {"type": "worker"}}),
        json.dumps(CLUSTER | {"task": {"type": "worker", "index": 2}}),
        json.dumps(CLUSTER | {"task": {"type": "chief", "index": 0}}),
    ],
)
@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_a_cluster_that_is_none(monkeypatch, name, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG must be as .* Received: "):
        make_strategy(name)


def test_several_workers_need_a_cluster():
    with pytest.raises(UsageError, match="needs TF_CONFIG .* or SLURM's srun. Received: neither"):
        make_strategy("multi_worker")
    assert make_strategy("auto").num_replicas_in_sync == 1


class Placed:
    """A strategy as far as the question who is chief goes."""

    def __init__(self, cluster, kind, index):
        self.cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster), task_type=kind, task_id=index
        )


def test_one_process_of_a_cluster_is_chief():
    workers = {"worker": ["a:1", "b:1"]}
    assert is_chief(Placed(workers, "worker", 0))
    assert not is_chief(Placed(workers, "worker", 1))
    led = {"chief": ["c:1"], **workers}
    assert is_chief(Placed(led, "chief", 0))
    assert not is_chief(Placed(led, "worker", 0))
    assert is_chief(tf.distribute.get_strategy())


def test_a_port_in_use_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cluster = {"worker": [f"localhost:{port}", "localhost:1"]}
        task = {"type": "worker", "index": 0}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        with pytest.raises(UsageError, match=f"listens at localhost:{port}, which it cannot: Addr"):
            make_strategy("multi_worker")


@pytest.mark.parametrize("address", ["localhost", "localhost:http", "localhost:99999", 5, None])
def test_an_address_without_a_port_is_named(monkeypatch, address):
    cluster = {"worker": [address, "localhost:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(UsageError, match="TF_CONFIG"):
        make_strategy("multi_worker")


def test_one_device_cannot_be_mirrored(monkeypatch):
    (first, *_) = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [first])
    with pytest.raises(UsageError, match="mirrored needs several devices. Received: .*CPU:0"):
        make_strategy("mirrored")


SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
}


def test_slurm_names_the_cluster(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert in_cluster()
    first = FIRST_PORT + 4711 % PORTS
    assert json.loads(_slurm_cluster()) == {
        "cluster": {"worker": [f"n1:{first}", f"n1:{first + 1}", f"n2:{first}"]},
        "task": {"type": "worker", "index": 2},
    }


def test_one_task_of_slurm_is_no_cluster(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert not in_cluster()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SLURM_PROCID", None, "SLURM_PROCID not found"),
        ("SLURM_PROCID", "two", "two"),
        ("SLURM_STEP_NUM_TASKS", "many", "many"),
        ("SLURM_STEP_NODELIST", "n[1-", "hostlist"),
        ("SLURM_STEP_TASKS_PER_NODE", "2,2", "3 tasks but only 4"),
    ],
)
def test_variables_of_slurm_that_name_no_cluster(monkeypatch, name, value, message):
    for key, text in {**SLURM, name: value}.items():
        if text is not None:
            monkeypatch.setenv(key, text)
    with pytest.raises(UsageError, match=f"SLURM's variables name no cluster: .*{message}"):
        make_strategy("multi_worker")
