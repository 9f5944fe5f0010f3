"""The search of loss weights as a user runs it: a kill, and several processes at one search."""

import csv
import json
import os
import signal
import time

import pytest
from tuning.cluster import VARIABLES
from tuning.space import SYSTEMS

FIGURE = SYSTEMS["recognition"].figure
SHORT = ("--training.epochs=1", "--training.steps_per_epoch=1", "--action_units=[1,4,12,15]")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def command(tiny_recognition, folder, *flags):
    flags = ("--config", tiny_recognition, "--out", folder, "--tuner=random", *flags)
    return ("tune", "--system=recognition", *flags)


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_trial_that_was_cut_off(
    start, kill_when, tiny_recognition, tmp_path
):
    folder = tmp_path / "search"
    steps = ("--training.steps_per_epoch=1", "--training.epochs=3", "--action_units=[1,4,12,15]")
    again = command(tiny_recognition, folder, "--trials=3", *steps)
    kill_when(start(*again), (folder / "trials/1/checkpoints/recognition/checkpoint").exists)
    first = folder / "trials/0/summary.json"
    before = first.stat().st_mtime_ns
    assert not (folder / "trials/1/summary.json").exists()

    process = start(*again)
    said, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints
    lines = said.splitlines()
    trials = [line for line in lines if line.startswith("trial ")]
    assert [line.split(":")[0] for line in trials] == ["trial 1"] * 2 + ["trial 2"] * 2
    at = lines.index(next(line for line in lines if line.startswith("recognition: going on")))
    assert lines.index(trials[0]) < at < lines.index(trials[1])
    assert first.stat().st_mtime_ns == before
    rows = table(folder / "trials.csv")
    assert [row["status"] for row in rows] == ["completed"] * 3


@pytest.mark.slow
def test_a_chief_and_two_workers_share_the_trials(start, free_port, tiny_recognition, tmp_path):
    """One of them is killed in its trial, and goes on with it when it is started again."""
    folder, applied = tmp_path / "search", tmp_path / "best.yaml"
    shared = command(tiny_recognition, folder, "--trials=6", *SHORT, "--apply", applied)

    def started(name):
        place = dict(zip(VARIABLES, (name, "127.0.0.1", str(free_port)), strict=True))
        return start(*shared, environment=place)

    processes = {name: started(name) for name in ("chief", "worker-1", "worker-2")}
    given = folder / "keras_tuner" / "oracle.json"
    try:
        deadline = time.monotonic() + 200
        while "worker-1" not in (ongoing(given)) and time.monotonic() < deadline:
            time.sleep(0.01)
        cut_off = ongoing(given)["worker-1"]
        os.killpg(processes["worker-1"].pid, signal.SIGKILL)
        processes.pop("worker-1").communicate()
        processes["worker-1, again"] = started("worker-1")
        said = {}
        for name, process in processes.items():
            said[name], complaints = process.communicate(timeout=600)
            assert process.returncode == 0, (name, complaints)
    finally:
        for process in processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    rows = table(folder / "trials.csv")
    assert [row["status"] for row in rows] == ["completed"] * 6
    done = {
        name: [line.split()[1] for line in lines.splitlines() if f": {FIGURE}" in line]
        for name, lines in said.items()
    }
    assert done["chief"] == []
    assert f"{cut_off}:" == done["worker-1, again"][0]
    assert sorted(trial for trials in done.values() for trial in trials) == [
        f"{i}:" for i in range(6)
    ]
    assert done["worker-2"]
    assert applied.exists() and (folder / "trials.png").exists()
    assert f"search: the config with the best weights is {applied}" in said["chief"]
    assert "search: " not in said["worker-2"]


def ongoing(path):
    try:
        return json.loads(path.read_text())["ongoing_trials"]
    except FileNotFoundError:
        return {}
