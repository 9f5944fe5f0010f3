"""Where figures go: a JSON file with what made them, and a chart beside it."""

import argparse
import json
import sys
from pathlib import Path

import tensorflow as tf

from benchmarks.results import add_out, save


def draw(path):
    path.write_bytes(b"a chart")


def test_figures_lie_beside_their_chart_and_say_what_made_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "benchmarks", "layers", "--out", "a b"])
    path = tmp_path / "new" / "found.json"
    save(path, "layers", {"ms": {"ours": 1.5}}, draw)
    content = json.loads(path.read_text())
    assert content["ms"] == {"ours": 1.5}
    assert content["command"] == "python -m benchmarks layers --out 'a b'"
    assert content["versions"]["tensorflow"] == tf.__version__
    assert content["machine"]["cores"] >= 1 and content["machine"]["gpus"] == []
    assert (path.parent / "found.png").read_bytes() == b"a chart"
    assert capsys.readouterr().out == f"Written: {path}, {path.with_suffix('.png')}\n"


def test_otherwise_they_go_where_git_does_not_look(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(None, "layers", {}, draw)
    assert {path.name for path in Path("runs/benchmarks").iterdir()} == {
        "layers.json",
        "layers.png",
    }


def test_a_file_can_be_named():
    parser = argparse.ArgumentParser()
    add_out(parser)
    assert parser.parse_args([]).out is None
    assert parser.parse_args(["--out", "a/b.json"]).out == Path("a/b.json")
