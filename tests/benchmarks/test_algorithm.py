"""Our step against the paper's algorithm: equal losses, and who makes how many fakes."""

import json

import pytest

from benchmarks import algorithm, train_step
from benchmarks.agreement import compare_losses
from benchmarks.algorithm import magnification, magnification_sizes
from benchmarks.models import make_stepper

TINY = {
    "name": "32 px",
    "side": 32,
    "batch_size": 2,
    "classifier": {"backbone": "vgg11"},
    "generator": {"filters": (2, 3, 4, 5)},
    "discriminator": {"filters": (4, 6)},
}


@pytest.fixture(scope="module")
def case():
    (case,) = magnification(jit_compile=False, sizes=[TINY])
    return case


@pytest.mark.slow
def test_magnification_synthesizes_twice_and_algorithm_1_for_each_update(case, monkeypatch):
    assert case.name == "32 px, batch 2"
    fakes, features, losses = {}, {}, {}
    for name in ("ours", "literal"):
        model = getattr(case, name)
        for counts, player in ((fakes, "generator"), (features, "extractor")):
            call = getattr(model, player).call

            def counted(*args, name=name, counts=counts, call=call, **kwargs):
                counts[name] = counts.get(name, 0) + 1
                return call(*args, **kwargs)

            monkeypatch.setattr(getattr(model, player), "call", counted)
        losses[name] = make_stepper(model, case.batch)
    last, apart = compare_losses(losses["ours"], losses["literal"], steps=3)
    # Both were traced once: the features of weak and peak faces, and two fakes; or both for each
    # of the four updates, and those of the peaks for D and for D'.
    assert fakes == {"ours": 2, "literal": 4} and features == {"ours": 2, "literal": 6}
    assert apart < 1e-4 and int(case.ours.step) == int(case.literal.step) == 3
    assert set(last) == {tracker.name for tracker in case.ours.trackers}
    assert all(ours != 0 for ours, _ in last.values())


def test_sizes_are_the_papers_and_the_quickstarts():
    first, second, last = magnification_sizes()
    assert (
        (first["side"], first["batch_size"]) == (second["side"], second["batch_size"]) == (128, 4)
    )
    assert set(last) == set(TINY) and len(last["generator"]["filters"]) == 4
    assert last["name"] == f"{last['side']} px, the quickstart's"


def test_the_ratio_is_printed_and_written(case, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(algorithm, "magnification", lambda jit_compile, sizes: [case])
    arguments = ["--system", "magnification", "--algorithm", "--turns", "2"]
    train_step.main([*arguments, "--out", str(tmp_path / "t.json")])
    out = capsys.readouterr().out
    assert "32 px, batch 2: losses of step 3" in out and "\n  extractor_loss " in out
    assert "| times as long" in out and "Target: at least 1.3 times" in out
    content = json.loads((tmp_path / "t.json").read_text())
    (figures,) = content["cases"]
    assert figures["ratio"] > 0 and figures["ms"]["ours"] > 0
    assert f"| {figures['ratio']:.2f} " in out
    assert (tmp_path / "t.png").stat().st_size > 5000
