"""Synthesis' step with CARGs that see their own windows against CARGs that see the whole face.

`benchmarks.train_step --system synthesis` runs it. Each of the two is trained in a process of its
own, so that the memory of each is known; the processes take turns step by step. Before that it is
checked that both put regions into the face alike, and leave what nobody asks for as it was.
"""

import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import table, take_turns

REGIONS = ("crop", "full")


@dataclass(frozen=True)
class Size:
    """What is trained.

    Args:
        name: For the table.
        action_units: One CARG each.
        side: Of the face in pixels.
        batch_size: Faces in a batch.
        filters: Channels of the CARGs' encoder; its first four are the discriminators' too.
    """

    name: str
    action_units: tuple
    side: int = 200
    batch_size: int = 2
    filters: tuple = (32, 64, 128, 256, 256)


def paper_size():
    """The paper's twelve AUs, 200x200 pixels, five convolutions."""
    from tfface.facs.action_units import BP4D_AUS

    return Size("200 px, 12 AUs", BP4D_AUS)


class Rival:
    """A training in a process of its own, whose steps are asked for one by one.

    Args:
        region: One of `REGIONS`.
        size: Size.
        jit_compile: Whether XLA compiles the step.
    """

    def __init__(self, region, size, jit_compile):
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        arguments = (theirs, region, size, jit_compile)
        self._process = context.Process(target=_train, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def step(self):
        """Takes one step; returns its pixel loss when it is done."""
        return self._asked("step")

    def memory(self):
        """Bytes that the model and its steps have taken at most, and its number of weights."""
        return self._asked("memory")

    def end(self):
        """Ends the process."""
        self._ours.send("end")
        self._process.join()

    def _asked(self, what):
        self._ours.send(what)
        return self._ours.recv()  # EOFError if the process has died


def make_model(region, size, jit_compile=False):
    """LACGAN of that size, compiled, without an identity network, which is the same for both."""
    import keras

    from tfface.synthesis.model import LACGAN
    from tfface.synthesis.networks import (
        FaceDiscriminator,
        LACGenerator,
        LatentDiscriminator,
        RegionDiscriminator,
    )

    keras.utils.set_random_seed(0)
    count, filters = len(size.action_units), size.filters[:4]
    generator = LACGenerator(size.action_units, size.side, size.filters, region=region)
    players = {
        "generator": generator,
        "region_discriminator": RegionDiscriminator(count, *generator.region_shape, filters),
        "latent_discriminator": LatentDiscriminator(count),
        "face_discriminator": FaceDiscriminator(size.side, filters),
    }
    model = LACGAN(**players)
    rates = {name: keras.optimizers.Adam(2e-4) for name in players}
    model.compile(rates, jit_compile=jit_compile)
    return model


def make_batch(size):
    """A batch of noise with landmarks around the mean face's."""
    import tensorflow as tf

    from tfface.facs.landmarks import mean_face

    rng, n = np.random.default_rng(1), len(size.action_units)
    labels = (size.batch_size, n)
    batch = {
        "face": rng.uniform(size=(size.batch_size, size.side, size.side, 3)),
        "landmarks": mean_face(size.side) + rng.normal(0, 1, (size.batch_size, 68, 2)),
        "au": rng.integers(0, 2, labels),
        "target": rng.integers(0, 2, labels),
        "prior": rng.uniform(-1, 1, (*labels, 60)),
    }
    return {name: tf.constant(values, tf.float32) for name, values in batch.items()}


def check_composition(size):
    """Checks that both compose alike, and that unasked pixels stay bit for bit.

    Raises:
        AssertionError: If not.
    """
    import keras

    batch, composed = make_batch(size), {}
    asked = np.zeros(batch["au"].shape, np.float32)
    asked[:, ::2] = 1
    for region in REGIONS:
        generator = make_model(region, size).generator
        face = batch["face"]
        _, attention, *corners = generator.cut([face, batch["landmarks"]])
        light = 0.5 * keras.ops.repeat(attention, 3, axis=-1)  # every region drawn in gray
        given = [face, light, attention, keras.ops.convert_to_tensor(asked), *corners]
        composed[region] = np.asarray(generator.composer(given))
        nothing = np.full(asked.shape, np.nan, np.float32)
        same = generator.edit(face, nothing, batch["landmarks"])
        assert np.array_equal(same, face), f"{region}: a face is not its own where nothing is asked"
    apart = np.abs(composed["crop"] - composed["full"]).max()
    assert apart < 1e-5, f"the two compositions are {apart:g} apart"
    kept = [(image == np.asarray(batch["face"])).all(-1) for image in composed.values()]
    assert np.array_equal(*kept), "the two leave different pixels alone"
    assert 0 < kept[0].mean() < 1
    return float(kept[0].mean())


def _train(connection, region, size, jit_compile):
    """Trains in a process of its own, as it is asked."""
    import tensorflow as tf

    batch = make_batch(size)
    before = _peak_bytes(tf)
    model = make_model(region, size, jit_compile)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    while (what := connection.recv()) != "end":
        if what == "step":
            connection.send(float(model.train_function(batches)["pixel_loss"]))
        else:
            weights = sum(getattr(model, name).count_params() for name in model.player_names)
            connection.send((_peak_bytes(tf) - before, weights))


def _peak_bytes(tf):
    """The most memory that this process has had: the GPU's where there is one."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    # Not getrusage's ru_maxrss, which begins with the peak of the process that started this one.
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return 1024 * int(line.split()[1])


def measure(turns, jit_compile, size=None):
    """Checks, times and prints the table.

    Args:
        turns: Timed turns of each.
        jit_compile: Whether XLA compiles the steps.
        size: Size; None for the paper's.

    Returns:
        List of one dict: the figures of that size.
    """
    size = size or paper_size()
    untouched = check_composition(size)
    print(f"{size.name}: equal compositions, {100 * untouched:.1f}% of the pixels left alone")
    rivals = {region: Rival(region, size, jit_compile) for region in REGIONS}
    try:
        times = take_turns(
            {name: rival.step for name, rival in rivals.items()}, turns, calls=1, warm_up=2
        )
        memory = {name: rival.memory() for name, rival in rivals.items()}
    finally:
        for rival in rivals.values():
            rival.end()
    ms = {name: 1e3 * times.median(name) for name in rivals}
    ratio = times.ratio("full", "crop")
    rows = []
    for name, (taken, weights) in memory.items():
        figures = [f"{ms[name]:.0f}", f"{taken / 2**20:.0f}", f"{weights / 1e6:.1f}"]
        rows.append([f"{size.name}, batch {size.batch_size}", name, *figures])
    print(table(["size", "region", "ms a step", "MiB, model and steps", "million weights"], rows))
    less = memory["full"][0] / max(memory["crop"][0], 1)
    print(f"full takes {ratio:.2f} times as long and {less:.2f} times the memory of crop.")
    return [
        {
            "name": size.name,
            "batch_size": size.batch_size,
            "ms": ms,
            "ratio": ratio,
            "memory_bytes": {name: value for name, (value, _) in memory.items()},
            "memory_ratio": less,
            "untouched": untouched,
        }
    ]
