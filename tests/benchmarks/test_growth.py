"""What a step grows with: which points are trained, and the exponents that come out."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import growth
from benchmarks.growth import Point, axes_of, without_labels
from benchmarks.measure import Timings
from benchmarks.models import PAPERS, make_case, read_config

SIDES = {
    ("restoration", "quickstart"): [128, 256],
    ("recognition", "quickstart"): [72, 96, 144, 192],
    ("magnification", "quickstart"): [64, 96, 128],
    ("regeneration", "quickstart"): [64, 96, 128],
    ("synthesis", "quickstart"): [32, 48, 64, 96],
    ("recognition", "paper"): [112, 168, 224, 336],
    ("synthesis", "paper"): [96, 152, 200, 304],
}
TINY = {"recognizer": {"backbone": "compact", "size": 32}}


@pytest.mark.parametrize("system", PAPERS)
def test_batches_are_multiples_of_the_configs_own(system):
    for name in ("quickstart", "paper"):
        config = read_config(system, name)
        own = config["training"]["batch_size"]
        points = axes_of(system, config)["batch"]
        assert [point.value for point in points] == [own / 4, own / 2, own, 2 * own]
        assert all(point.batch_size == point.value for point in points)


@pytest.mark.parametrize("case", SIDES, ids=" ".join)
def test_sides_are_those_that_the_networks_take(case):
    points = axes_of(case[0], read_config(*case))["side of a face in pixels"]
    assert [point.value for point in points] == SIDES[case]


@pytest.mark.slow
@pytest.mark.parametrize("system", PAPERS)
def test_every_axis_can_be_trained(system):
    for points in axes_of(system, read_config(system, "quickstart")).values():
        _, batch = make_case(system, batch_size=1, overrides=points[0].overrides)
        assert len(batch) >= 3


def test_what_else_systems_grow_with():
    others = {
        system: dict(list(axes_of(system, read_config(system, "quickstart")).items())[2:])
        for system in PAPERS
    }
    assert others["restoration"] == others["magnification"] == {}
    (units,) = others["synthesis"].values()
    assert [len(point.overrides["action_units"]) for point in units] == [3, 6, 12]
    (classes,) = others["regeneration"].values()
    assert [len(point.overrides["faces"]["classes"]) for point in classes] == [2, 4, 6]
    (missing,) = others["recognition"].values()
    assert [point.missing for point in missing] == [0.1, 0.2, 0.4, 0.8]


def test_labels_go_missing_face_by_face():
    labels = tf.constant([[1.0, 0.0], [np.nan, 1.0], [0.0, np.nan], [1.0, 1.0], [0.0, 0.0]])
    kept = without_labels(labels, 0.4).numpy()
    assert np.isnan(kept[:2]).all()
    assert kept[2:].tolist() == [[0, 0], [1, 1], [0, 0]]


def test_a_point_is_trained_as_it_says():
    point = Point(0.5, batch_size=4, overrides=TINY, missing=0.5)
    cycle = growth.prepare("recognition", "quickstart", point, {})()
    assert cycle() == 1  # all learn in every step


class Known:
    """Trainings whose time is 10 ms a face in cycles of three steps, memory 5 MiB a face and 5."""

    def __init__(self, prepare, system, size, point, making):
        assert (system, size) == ("restoration", "quickstart") and making == {"jit_compile": True}
        self.faces, self.ended = point.batch_size, False

    def step(self):
        return 3

    def memory(self):
        return (5 + 5 * self.faces) * 2**20

    def end(self):
        self.ended = True


def test_exponents_are_fitted_and_printed(monkeypatch, capsys):
    monkeypatch.setattr(growth, "Remote", Known)
    monkeypatch.setattr(
        growth, "take_turns", lambda steps, *_, **__: Timings({n: [0.03 * n] * 2 for n in steps})
    )
    points = [Point(count, count) for count in (1, 2, 4)]
    arguments = ("restoration", "quickstart", "batch", points, 2, {"jit_compile": True})
    case = growth.grow(*arguments)
    assert case["values"] == [1, 2, 4]
    assert case["time"]["points"] == pytest.approx([10, 20, 40])
    assert case["time"]["exponent"] == pytest.approx(1)
    assert case["memory"]["points"] == [10, 15, 25]
    # Least squares through ln 10, ln 15 and ln 25 at even distances: half the ends' difference.
    assert case["memory"]["exponent"] == pytest.approx(np.log(2.5) / np.log(4))
    said = capsys.readouterr().out
    assert "restoration, sizes of its config quickstart, against the batch:" in said
    assert "| exponent | 1.00             | 0.66         |" in said
    time, memory = growth.panels([case])
    assert time.points == pytest.approx({1: 10, 2: 20, 4: 40}) and memory.unit == "MiB"
    assert memory.exponent == pytest.approx(case["memory"]["exponent"])
