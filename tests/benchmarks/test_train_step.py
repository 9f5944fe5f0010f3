"""The command line of the training step's benchmarks."""

import importlib.util

import pytest
import tensorflow as tf

from benchmarks import train_step
from benchmarks.models import PAPERS


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What each kind of measurement is asked for, in a dict; nothing is measured."""
    calls = {}
    for kind in train_step.KINDS:

        def measured(args, sizes, kind=kind):
            calls[kind] = (args.system, sizes, args.jit_compile)
            return [{"ms": 1.0}], lambda path: path.write_bytes(b"a chart")

        monkeypatch.setitem(train_step.KINDS, kind, measured)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.chdir(tmp_path)
    return calls


def test_systems_are_those_that_can_be_made():
    assert set(train_step.SYSTEMS) == set(PAPERS)


@pytest.mark.parametrize(
    ("words", "kind", "sizes", "name"),
    [
        ([], "beside", ("paper", "quickstart"), "train_step_synthesis"),
        (["--size", "paper"], "beside", ("paper",), "train_step_synthesis"),
        (["--growth"], "growth", ("quickstart",), "train_step_synthesis_growth"),
        (["--steady"], "steady", ("quickstart",), "train_step_synthesis_steady"),
        (["--profile", "d"], "profile", ("quickstart",), "train_step_synthesis_profile"),
        (["--switches", "--size", "both"], "switches", ("paper", "quickstart"), None),
        (["--algorithm"], "algorithm", ("quickstart",), "train_step_synthesis_algorithm"),
    ],
)
def test_what_is_asked_for_is_measured_and_written(words, kind, sizes, name, asked, tmp_path):
    assert train_step.main(["--system", "synthesis", *words]) == 0
    assert asked == {kind: ("synthesis", sizes, False)}
    written = {path.name for path in (tmp_path / "runs/benchmarks").iterdir()}
    name = name or "train_step_synthesis_switches"
    assert written == {f"{name}.json", f"{name}.png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "recognition", "--algorithm"], "is of magnification and synthesis"),
        (["--system", "synthesis", "--algorithm", "--size", "paper"], "has sizes of its own"),
        (["--system", "synthesis", "--switches", "--jit_compile"], "is one of the --switches"),
        (["--system", "synthesis", "--turns", "0"], "--turns must be at least 1"),
        (["--system", "synthesis", "--growth", "--steady"], "not allowed with"),
        (["--system", "painting"], "invalid choice: 'painting'"),
    ],
)
def test_what_cannot_be_is_a_usage_error(words, message, asked, capsys):
    with pytest.raises(SystemExit) as stop:
        train_step.main(words)
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not asked


def test_without_pytorch_one_line_says_what_to_install(asked, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert train_step.main(["--system", "restoration"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install torch" in line and "[bench]" in line
    assert train_step.main(["--system", "restoration", "--growth"]) == 0


def test_without_a_gpu_one_line_says_so(asked, monkeypatch, capsys):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(SystemExit) as stop:
        train_step.main(["--system", "restoration", "--device", "gpu"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("--device gpu needs a GPU that TensorFlow can use. Found: none")
