import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfface.data import pipeline
from tfface.data.pipeline import (
    FaceSource,
    chosen_records,
    evaluation_batches,
    steps_per_epoch,
    training_records,
    training_stream,
)
from tfface.data.schema import features

PROJECT = Path(__file__).parents[2]

SIDE = 24
COUNTS = {"subject_a": 7, "subject_b": 5, "subject_c": 4}
SPLITS = tuple(COUNTS)
FACES = 16


def ramp():
    """A picture whose red at column x is 8 x and whose green at row y is 8 y."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[..., 0] = 8 * np.arange(SIDE)
    image[..., 1] = 8 * np.arange(SIDE)[:, None]
    return image


class Numbered(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """16 faces of 3 subjects; `frame` numbers them and so does blue."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        metadata = {
            "action_units": [1, 2],
            "expressions": ["happiness"],
            "subjects": {split: [split[-1]] for split in SPLITS},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=features(None, SIDE),
            metadata=tfds.core.MetadataDict(metadata),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        starts = np.cumsum([0, *COUNTS.values()])
        return {
            split: self._generate_examples(split, range(start, start + count))
            for start, (split, count) in zip(starts, COUNTS.items(), strict=False)
        }

    def _generate_examples(self, split, numbers):
        for number in map(int, numbers):
            image = ramp()
            image[..., 2] = number
            yield (
                number,
                {
                    "image": image,
                    "landmarks": np.full((68, 2), (5, 7), np.float32),
                    "subject": split[-1],
                    "sequence": "",
                    "frame": number,
                    "au": np.array([number % 2, np.nan], np.float32),
                    "au_intensity": np.full(2, np.nan, np.float32),
                    "expression": -1,
                    "phase": np.nan,
                },
            )


@pytest.fixture(scope="session")
def numbered_directory(tmp_path_factory):
    builder = Numbered(data_dir=tmp_path_factory.mktemp("numbered"))
    builder.download_and_prepare()
    return builder.data_dir


@pytest.fixture(scope="session")
def source(numbered_directory):
    return FaceSource.open(numbered_directory)


def drawn(batch, seed):
    """A transform: which faces came, what seed came, and something drawn from it."""
    count = tf.shape(batch["frame"])[0]
    return batch["frame"], seed, tf.random.stateless_uniform((count,), seed)


def stream(source, **changes):
    arguments = dict(
        batch_size=3, size=SIDE, transform=drawn, seed=11, cache=True, shuffle_buffer=4
    )
    return training_stream(source, SPLITS, **(arguments | changes))


def taken(dataset, count):
    return [tuple(np.array(x) for x in batch) for batch in dataset.take(count)]


def orders(dataset, epochs, steps=5):
    """(epochs, steps * batch_size): which faces came."""
    frames = [batch[0] for batch in taken(dataset, epochs * steps)]
    return np.reshape(frames, (epochs, -1))


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


both = pytest.mark.parametrize("cache", [True, False], ids=["memory", "files"])


@both
def test_an_epoch_brings_no_face_twice_and_leaves_out_less_than_a_batch(source, cache):
    assert steps_per_epoch(source.count(SPLITS), 3) == 5
    epochs = orders(stream(source, cache=cache), 20)
    for order in epochs:
        assert len(set(order)) == 15
    # Another face sits out each epoch: over 20, all come.
    assert set(epochs.ravel()) == set(range(FACES))
    assert len({tuple(order) for order in epochs}) == 20


@both
@pytest.mark.parametrize("start", [1, 4, 5, 7, 13])
def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(source, cache, start):
    whole = taken(stream(source, cache=cache), start + 7)
    assert_same(taken(stream(source, cache=cache, start_step=start), 7), whole[start:])


@both
def test_order_depends_on_the_seed_alone(source, cache):
    tf.random.set_seed(1)
    first = orders(stream(source, cache=cache), 2)
    tf.random.set_seed(2)
    again = orders(stream(source, cache=cache), 2)
    np.testing.assert_array_equal(first, again)
    assert (orders(stream(source, cache=cache, seed=12), 2) != first).any()


@both
def test_seed_0_is_a_seed(source, cache):
    # tf.data takes the pair of seeds (0, 0) for "draw one yourself" unless it is guarded.
    first, again = (orders(stream(source, cache=cache, seed=0), 2) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@both
def test_batches_keep_their_order_when_some_take_longer(source, cache):
    def pause(step):
        time.sleep(0.03 if step % 2 == 0 else 0)
        return step

    def slow(batch, seed):
        return batch["frame"], tf.numpy_function(pause, [seed[1]], tf.int32)

    dataset = stream(source, cache=cache, start_step=3, transform=slow)
    assert [int(step) for _, step in dataset.take(9)] == list(range(3, 12))


def test_no_thread_tunes_a_pipeline(source):
    """One that does may sleep for a minute when its iterator is deleted, and all wait for it."""
    assert stream(source).options().autotune.enabled is False


def test_draws_are_a_function_of_seed_and_step(source):
    first, second = (taken(stream(source, cache=cache), 6) for cache in (True, False))
    for (_, seed, ours), (_, _, other) in zip(first, second, strict=True):
        expected = tf.random.stateless_uniform((3,), seed)
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(other, expected)


def test_in_memory_order_is_a_permutation_of_the_whole_set(source):
    # With a buffer of 4 the first face would always be among the first four.
    first = orders(stream(source, shuffle_buffer=4), 40)[:, 0]
    assert first.max() > 8


def records(batch, seed):
    return batch


@both
@pytest.mark.parametrize("size", [SIDE, SIDE // 2])
def test_faces_are_as_stored_and_landmarks_move_along(source, cache, size):
    stored = {int(r["frame"]): r for r in source.records(SPLITS).as_numpy_iterator()}
    dataset = stream(source, cache=cache, size=size, transform=records)
    scale = SIDE / size
    # A pixel's center is where the ramp has this value; the border has no ramp beyond it.
    value = 8 * ((np.arange(size) + 0.5) * scale - 0.5) / 255
    inside = slice(3, -3)
    for batch in dataset.take(5).as_numpy_iterator():
        assert batch["image"].dtype == np.float32
        for i, number in enumerate(batch["frame"]):
            red, green, blue = np.moveaxis(batch["image"][i], -1, 0)[:, inside, inside]
            np.testing.assert_allclose(red, value[None, inside] + 0 * red, atol=1e-6)
            np.testing.assert_allclose(green, value[inside, None] + 0 * green, atol=1e-6)
            np.testing.assert_allclose(blue, number / 255, atol=1e-6)
            np.testing.assert_allclose(
                batch["landmarks"][i], stored[number]["landmarks"] * 0 + expected_point(scale)
            )
            for key in ("subject", "au", "au_intensity", "expression", "phase"):
                np.testing.assert_array_equal(batch[key][i], stored[number][key])


def expected_point(scale):
    # (5, 7) in 24x24 lies at (5.5 / 2 - 0.5, 7.5 / 2 - 0.5) in 12x12.
    return {1.0: (5, 7), 2.0: (2.25, 3.25)}[scale]


@both
def test_training_shapes_are_static(source, cache):
    spec = stream(source, cache=cache, transform=records).element_spec
    assert spec["image"].shape == (3, SIDE, SIDE, 3)
    assert spec["landmarks"].shape == (3, 68, 2)
    # The files were declared without the number of AUs.
    assert spec["au"].shape == (3, 2)
    assert spec["frame"].shape == (3,)


def chosen(source, rows, **changes):
    arguments = dict(batch_size=2, size=SIDE, seed=11, shuffle_buffer=4)
    return training_records(source, SPLITS, rows=rows, **(arguments | changes))


def rows_of(dataset, epochs, steps):
    """(epochs, steps * batch_size); each face is the one that its row says: it has its number."""
    batches = list(dataset.take(epochs * steps).as_numpy_iterator())
    for batch in batches:
        assert batch["row"].dtype == np.int64 and batch["image"].dtype == np.uint8
        np.testing.assert_array_equal(batch["frame"], batch["row"])
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 2], batch["row"])
    return np.reshape([batch["row"] for batch in batches], (epochs, -1))


@both
def test_records_of_some_rows_are_those_alone(source, cache):
    rows = [12, 3, 15, 0, 7]  # from all three splits
    records = chosen(source, rows, cache=cache)
    assert records.element_spec["row"].shape == (2,)
    assert records.element_spec["image"].shape == (2, SIDE, SIDE, 3)
    epochs = rows_of(records, 12, 2)
    assert all(len(set(epoch)) == 4 for epoch in epochs)  # two whole batches of the five
    assert set(epochs.ravel()) == set(rows)
    assert len({tuple(epoch) for epoch in epochs}) > 6
    # From a step in the second epoch on, and with the rows named in another order.
    later = rows_of(chosen(source, np.sort(rows), cache=cache, start_step=3), 7, 1)
    np.testing.assert_array_equal(later.ravel(), epochs.ravel()[6:20])


@both
def test_one_row_comes_each_time(source, cache):
    rows = rows_of(chosen(source, [13], cache=cache, batch_size=1), 3, 1)
    np.testing.assert_array_equal(rows, [[13], [13], [13]])


@both
def test_rows_count_from_the_first_of_the_splits(source, cache):
    arguments = dict(batch_size=4, size=SIDE, seed=0, cache=cache)
    records = training_records(source, ("subject_c", "subject_a"), **arguments)
    for batch in records.take(4).as_numpy_iterator():
        # subject_c has the frames 12 to 15, subject_a those from 0 on.
        expected = np.where(batch["frame"] >= 12, batch["frame"] - 12, batch["frame"] + 4)
        np.testing.assert_array_equal(batch["row"], expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "`rows` must be positions from 0 to 15. Received: none"),
        ([-1, 3], "`rows` must be positions from 0 to 15. Received: 2 rows, -1 to 3"),
        ([3, 16], "`rows` must be positions from 0 to 15. Received: 2 rows, 3 to 16"),
        ([5], "`batch_size` must be from 1 to the number of faces, 1. Received: 2"),
        ([5, 5], "`batch_size` must be from 1 to the number of faces, 1. Received: 2"),
    ],
)
def test_rows_that_are_not_there(source, rows, message):
    with pytest.raises(ValueError, match=message):
        chosen(source, rows)


def test_few_rows_of_a_large_set_stay_in_memory(source, monkeypatch):
    monkeypatch.setattr(pipeline, "MEMORY_LIMIT", 5 * SIDE * SIDE * 3)
    with monkeypatch.context() as patch:
        batches = chosen(source, range(5))
        patch.setattr(FaceSource, "decoded", None)  # no face is decoded once more
        rows_of(batches, 1, 2)
    monkeypatch.setattr(pipeline, "_loaded", None)
    rows_of(chosen(source, range(6)), 1, 3)


def test_a_set_above_the_limit_is_read_from_its_files(source, monkeypatch):
    monkeypatch.setattr(pipeline, "MEMORY_LIMIT", FACES * SIDE * SIDE * 3 - 1)
    monkeypatch.setattr(pipeline, "_loaded", None)
    assert orders(stream(source), 1).shape == (1, 15)


def test_evaluation_is_finite_ordered_and_the_same_every_time(source):
    batches = evaluation_batches(
        source, ("subject_c", "subject_a"), batch_size=4, size=SIDE, transform=drawn, seed=5
    )
    first = taken(batches, -1)
    np.testing.assert_array_equal(
        np.concatenate([frames for frames, _, _ in first]), [12, 13, 14, 15, *range(7)]
    )
    assert [len(frames) for frames, _, _ in first] == [4, 4, 3]
    np.testing.assert_array_equal([seed for _, seed, _ in first], [(5, 0), (5, 1), (5, 2)])
    assert_same(taken(batches, -1), first)


def test_a_batch_of_the_whole_set(source):
    assert len(set(orders(stream(source, batch_size=FACES), 1, steps=1)[0])) == FACES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be from 1 to .* 16. Received: 0"),
        ({"batch_size": 17}, "`batch_size` must be from 1 to .* 16. Received: 17"),
        ({"size": 0}, "`size` must be at least 1. Received: 0"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"seed": 2**31}, "`seed` must be from 0"),
        ({"start_step": -1}, "`start_step` must be at least 0. Received: -1"),
        ({"shuffle_buffer": 0}, "`shuffle_buffer` must be at least 1. Received: 0"),
    ],
)
def test_training_arguments_out_of_range(source, changes, message):
    with pytest.raises(ValueError, match=message):
        stream(source, **changes)


def test_evaluation_arguments_out_of_range(source):
    arguments = dict(batch_size=1, size=SIDE, transform=drawn, seed=0)
    for name in ("batch_size", "size"):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1. Received: 0"):
            evaluation_batches(source, SPLITS, **(arguments | {name: 0}))
    with pytest.raises(ValueError, match="`splits` must name at least one split"):
        evaluation_batches(source, (), **arguments)


def test_no_splits_to_train_on(source):
    with pytest.raises(ValueError, match="`splits` must name at least one split"):
        training_stream(source, (), batch_size=1, size=SIDE, transform=drawn, seed=0)


# A process of its own for each, since a strategy's devices are set before TensorFlow starts.
DISTRIBUTED = """
import json, sys
import tensorflow as tf
from tfface.data.pipeline import FaceSource, training_stream

directory, kind = sys.argv[1:]
if kind == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

def drawn(batch, seed):
    return {"frame": batch["frame"], "draw": tf.random.stateless_uniform((4,), seed)}

source, shares = FaceSource.open(directory), []
for cache in (True, False):
    stream = training_stream(source, source.splits, batch_size=4, size=24, transform=drawn,
                             seed=3, start_step=2, cache=cache, shuffle_buffer=4)
    batches = iter(strategy.experimental_distribute_dataset(stream))
    for _ in range(5):
        local = {k: strategy.experimental_local_results(v) for k, v in next(batches).items()}
        shares.append([dict(zip(local, [v.numpy().tolist() for v in share]))
                       for share in zip(*local.values())])
print(json.dumps(shares), flush=True)
"""


def ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def shares_of_processes(script, directory, kind, environments):
    """Runs one process an environment; returns every replica's share of every batch."""
    processes = [
        subprocess.Popen(
            [sys.executable, script, directory, kind],
            cwd=script.parent,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in environments
    ]
    try:
        outputs = [process.communicate(timeout=180) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for output, errors in outputs:
        assert output, errors
    by_process = [json.loads(output.splitlines()[-1]) for output, _ in outputs]
    # A batch's shares, process after process.
    return [[share for part in parts for share in part] for parts in zip(*by_process, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mirrored", "workers"])
def test_replicas_and_workers_share_out_the_global_batch(source, tmp_path, kind):
    script = tmp_path / "distributed.py"
    script.write_text(DISTRIBUTED)
    environments = [{}]
    if kind == "workers":
        cluster = {"worker": [f"localhost:{port}" for port in ports(2)]}
        environments = [
            {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}})}
            for i in range(2)
        ]
    batches = shares_of_processes(script, source.directory, kind, environments)
    whole = [
        batch
        for cache in (True, False)
        for batch in taken(stream(source, batch_size=4, seed=3, start_step=2, cache=cache), 5)
    ]
    assert len(batches) == len(whole) == 10
    for shares, (frames, _, draws) in zip(batches, whole, strict=True):
        assert [len(share["frame"]) for share in shares] == [2, 2]
        assert [n for share in shares for n in share["frame"]] == list(frames)
        np.testing.assert_allclose([x for share in shares for x in share["draw"]], draws)


def test_chosen_records_come_once_each_in_ascending_order(source):
    """Faces of all splits are numbered in order; the picture's blue is the number."""
    records = list(chosen_records(source, SPLITS, [9, 2, 15, 2], SIDE).as_numpy_iterator())
    assert [int(record["row"]) for record in records] == [2, 9, 15]
    assert [int(record["frame"]) for record in records] == [2, 9, 15]
    for record in records:
        expected = ramp()
        expected[..., 2] = record["frame"]
        np.testing.assert_array_equal(record["image"], expected)
    (half,) = chosen_records(source, SPLITS[1:], [0], SIDE // 2)
    assert half["image"].shape == (12, 12, 3) and int(half["frame"]) == 7
    np.testing.assert_allclose(half["landmarks"][0], [2.25, 3.25])  # (5 + 0.5) / 2 - 0.5


@pytest.mark.parametrize(
    ("rows", "size", "message"),
    [
        ([], SIDE, "`rows` must be positions from 0 to 15. Received: none"),
        ([3, 16], SIDE, "`rows` must be positions from 0 to 15. Received: 2 rows, 3 to 16"),
        ([3], 0, "`size` must be at least 1. Received: 0"),
    ],
)
def test_records_that_cannot_be_chosen(source, rows, size, message):
    with pytest.raises(ValueError, match=message):
        chosen_records(source, SPLITS, rows, size)
