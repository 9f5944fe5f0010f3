"""Every system's training on two worker processes: they keep in step, and equal one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfface.adversarial import AdversarialModel  # noqa: F401  (fails here, not in two processes)

HERE = Path(__file__).parent

SYSTEMS = ("restoration", "recognition", "magnification", "regeneration", "synthesis")
TRAINED = ("duel", "accumulating", *SYSTEMS)
"""What PROGRAM trains, by the names of its functions."""

PROGRAM = """
import importlib.util, sys
import keras, numpy as np, tensorflow as tf
answer, workers = sys.argv[1], sys.argv[2:]
strategy = tf.distribute.MultiWorkerMirroredStrategy() if workers else None

def tests(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), f"tests/{path}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def duel():
    m = tests("test_adversarial")
    return m.duel(normalized=True, gradient_clip=0.05), m.stream()

def accumulating():
    m = tests("test_adversarial")
    return m.accumulating(), m.stream()

def restoration():
    m = tests("restoration/test_model")
    return m.restorer(), m.stream()

def recognition():
    m = tests("recognition/test_model")
    return m.system(*m.networks()), m.stream(**m.LARGE)

def magnification():
    m = tests("magnification/test_model")
    return m.system(players=m.real_networks(), optimizer=m.small_steps), m.stream(4, **m.LARGE)

def regeneration():
    m = tests("regeneration/test_model")
    return m.real(classifier=False), m.large()

def synthesis():
    m = tests("synthesis/test_model")
    model = m.compiled(m.lacgan(), eagerly=False, **dict.fromkeys(m.PLAYERS, 0.01))
    return model, tf.data.Dataset.from_tensors(m.batch()).repeat()

options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
found = {}
for make in (duel, accumulating, restoration, recognition, magnification, regeneration, synthesis):
    with (strategy or tf.distribute.get_strategy()).scope():
        model, batches = make()
    history = model.fit(
        batches.with_options(options), steps_per_epoch=3, shuffle=False, verbose=0
    ).history
    for player in model.player_names:
        for i, weight in enumerate(getattr(model, player).get_weights()):
            found[f"{make.__name__} {player} {i}"] = weight
    found |= {f"{make.__name__} {name}": values[0] for name, values in history.items()}
np.savez(answer, **found)
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


@pytest.fixture(scope="module")
def answers(tmp_path_factory, free_addresses):
    """What two workers found, each, and one process by itself: weights and figures by name."""
    folder = tmp_path_factory.mktemp("answers")
    workers = free_addresses(2)
    processes = [start(folder / f"{i}.npz", workers, i) for i in range(2)]
    processes.append(start(folder / "one.npz"))
    try:
        for process in processes:
            said, _ = process.communicate(timeout=600)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
    found = []
    for name in ("0", "1", "one"):
        with np.load(folder / f"{name}.npz") as arrays:
            found.append(dict(arrays))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("system", TRAINED)
def test_two_workers_keep_in_step_and_equal_one_process(answers, system):
    first, second, one = (
        {name: value for name, value in found.items() if name.startswith(f"{system} ")}
        for found in answers
    )
    assert first.keys() == second.keys() == one.keys()
    assert len(first) > 5
    for name, value in one.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        weight = name.rsplit(" ", 1)[1].isdecimal()
        tolerance = {"atol": 1e-5} if weight else {"rtol": 1e-4, "atol": 1e-6}
        np.testing.assert_allclose(first[name], value, err_msg=name, **tolerance)
