"""The adversarial loop on two worker processes: they keep in step, and equal one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfface.adversarial import AdversarialModel  # noqa: F401  (fails here, not in two processes)

HERE = Path(__file__).parent

PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy() if len(sys.argv) > 2 else None
sys.path.insert(0, "tests")
from test_adversarial import duel, stream
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
scope = (strategy or tf.distribute.get_strategy()).scope
with scope():
    model = duel(normalized=True, gradient_clip=0.05)
history = model.fit(
    stream().with_options(options), steps_per_epoch=3, shuffle=False, verbose=0
).history
np.savez(
    sys.argv[1],
    *[weight.numpy() for weight in model.weights],
    **{name: values[0] for name, values in history.items()},
)
"""


def start(answer, workers=(), index=0):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_CONFIG", None)
    if workers:
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(answer), *["workers"] * bool(workers)],
        cwd=HERE.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.mark.slow
def test_two_workers_keep_in_step_and_equal_one_process(tmp_path):
    workers = free_addresses(2)
    processes = [start(tmp_path / f"{i}.npz", workers, i) for i in range(2)]
    processes.append(start(tmp_path / "one.npz"))
    try:
        for process in processes:
            said, _ = process.communicate(timeout=180)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
    first, second, one = (np.load(tmp_path / f"{name}.npz") for name in ("0", "1", "one"))
    assert first.files == second.files == one.files
    assert {"generator_loss", "discriminator_loss"} < set(one.files)
    for name in one.files:
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], one[name], rtol=1e-5, atol=1e-6)
