"""Training on two worker processes, of which one is killed and comes back."""

import csv
import json

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "stage", "victim"),
    [
        ("restoration", "restoration", 1),
        ("recognition", "recognition", 0),
        ("magnification", "magnification", 1),
        ("regeneration", "regeneration", 0),
        ("synthesis", "synthesis", 1),
    ],
)
def test_a_worker_that_is_killed_and_comes_back(
    script, stage, victim, request, start, kill_when, free_addresses, tmp_path
):
    """Worker 0 is the chief, who alone writes. The other one waits for the victim by itself."""
    config = request.getfixturevalue("tiny_config" if script == "restoration" else f"tiny_{script}")
    run, addresses = tmp_path / "run", free_addresses(2)

    def worker(index):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        return start(
            script,
            *("--config", config, "--out", run, "--strategy", "multi_worker"),
            environment={"TF_CONFIG": json.dumps(task)},
        )

    workers = [worker(0), worker(1)]
    try:
        first = run / "checkpoints" / stage / "checkpoint"
        kill_when(workers[victim], first.exists)
        workers[victim] = worker(victim)
        for process in workers:
            said, complaints = process.communicate(timeout=600)
            assert process.returncode == 0, complaints
            if process is not workers[victim]:
                assert "another worker is lost; beginning again" in said, said
    finally:
        for process in workers:
            process.kill()
    with (run / "history.csv").open(newline="") as file:
        epochs = [(row["stage"], int(row["epoch"])) for row in csv.DictReader(file)]
    assert len(epochs) == len(set(epochs)), "an epoch stands in the history once"
    assert json.loads((run / "summary.json").read_text())["system"] == script
