"""The benchmarks as one program."""

import importlib
import subprocess
import sys

import pytest

from benchmarks import __main__ as program


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_name_it_teaches(words, capsys):
    assert program.main(words) == 0
    said = capsys.readouterr().out
    for name in program.BENCHMARKS:
        assert f"\n  {name} " in said
    assert "python -m benchmarks train_step --system recognition" in said
    assert max(map(len, said.splitlines())) <= 100


def test_an_unknown_name_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        program.main(["speed"])
    assert stop.value.code == 2
    assert "invalid choice: 'speed'" in capsys.readouterr().err


@pytest.mark.parametrize("name", program.BENCHMARKS)
def test_the_rest_goes_to_the_benchmark_that_is_named(name, monkeypatch):
    module = importlib.import_module(f"benchmarks.{name}")
    given = []
    monkeypatch.setattr(module, "main", lambda words: given.append(words) or 3)
    assert program.main([name, "--turns", "2"]) == 3
    assert given == [["--turns", "2"]]


@pytest.mark.parametrize("name", program.BENCHMARKS)
def test_every_benchmark_has_its_help_and_its_device(name, capsys):
    module = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as stop:
        module.main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "--device {cpu,gpu}" in said and "--out" in said


@pytest.mark.parametrize("command", [["benchmarks", "layers"], ["benchmarks.layers"]])
def test_both_ways_of_calling_reach_it(command):
    done = subprocess.run(
        [sys.executable, "-m", *command, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: benchmarks layers")
