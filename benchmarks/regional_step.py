"""Synthesis' step with CARGs that see their own windows against CARGs that see the whole face.

`benchmarks train_step --system synthesis --algorithm` runs it. Each of the two is trained in a
process of its own, so that the memory of each is known; the processes take turns step by step.
Before that it is checked that both put regions into the face alike, and leave what nobody asks for
as it was.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.charts import Bars
from benchmarks.measure import table, take_turns
from benchmarks.processes import Remote

REGIONS = ("crop", "full")

TARGET = 4.0
"""How many times as long whole faces are to take, at least."""


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
    batch_size: int = 4
    filters: tuple = (32, 64, 128, 256, 256)


def paper_size():
    """The paper's twelve AUs, 200x200 pixels, five convolutions."""
    from tfface.facs.action_units import BP4D_AUS

    return Size("200 px, 12 AUs", BP4D_AUS)


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


def count_weights(model):
    """Number of the players' weights."""
    return sum(getattr(model, name).count_params() for name in model.player_names)


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


def prepare(region, size, jit_compile):
    """For a process of its own: the batch is there; then the training is made."""
    import tensorflow as tf

    batch = make_batch(size)

    def make():
        model = make_model(region, size, jit_compile)
        model.make_train_function()
        batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
        return lambda: float(model.train_function(batches)["pixel_loss"])

    return make


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
    weights = {region: count_weights(make_model(region, size)) for region in REGIONS}
    rivals = {region: Remote(prepare, region, size, jit_compile) for region in REGIONS}
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
    for name, taken in memory.items():
        figures = [f"{ms[name]:.0f}", f"{taken / 2**20:.0f}", f"{weights[name] / 1e6:.1f}"]
        rows.append([f"{size.name}, batch {size.batch_size}", name, *figures])
    print(table(["size", "region", "ms a step", "MiB, model and steps", "million weights"], rows))
    less = memory["full"] / max(memory["crop"], 1)
    print(f"full takes {ratio:.2f} times as long and {less:.2f} times the memory of crop.")
    print(f"Target: at least {TARGET} times as long.")
    return [
        {
            "name": size.name,
            "batch_size": size.batch_size,
            "ms": ms,
            "ratio": ratio,
            "memory_bytes": memory,
            "memory_ratio": less,
            "untouched": untouched,
        }
    ]


def bars(cases):
    """What `measure` returns, as panels of a chart."""
    return [
        panel
        for case in cases
        for panel in (
            Bars(f"{case['name']}: train step", "ms a step", case["ms"]),
            Bars(
                f"{case['name']}: memory of a training",
                "MiB",
                {name: taken / 2**20 for name, taken in case["memory_bytes"].items()},
            ),
        )
    ]
