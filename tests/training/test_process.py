"""What becomes of a training script: exit codes, and a new beginning where a worker is lost."""

import os
import sys
from types import SimpleNamespace

import process
import pytest
import tensorflow as tf
from process import MOST_RESTARTS, RESTARTS, attempt


def test_ctrl_c_is_one_line(capsys):
    def stopped(config):
        raise KeyboardInterrupt

    assert attempt(stopped, None) == 130
    assert capsys.readouterr().err == (
        "error: stopped; the same command goes on from the last whole epoch\n"
    )


@pytest.fixture
def lost(monkeypatch, tmp_path):
    """Function that runs a job in a cluster which loses a worker; returns what became of it."""
    began = []
    monkeypatch.setattr(os, "execv", lambda *command: began.append(command))
    monkeypatch.setattr(process.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-E", "training/recognition.py", "--out", "x"])
    monkeypatch.setenv(RESTARTS, "0 0")

    def job(config):
        raise tf.errors.UnavailableError(None, None, "Collective ops is aborted")

    def run():
        began.clear()
        return attempt(job, SimpleNamespace(out=str(tmp_path))), list(began)

    return run


def test_a_lost_worker_is_an_error_to_a_process_by_itself(lost, monkeypatch, capsys):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert lost() == (1, [])
    assert capsys.readouterr().err == "error: Collective ops is aborted\n"


def test_the_same_command_begins_again(lost, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    command = [sys.executable, "-E", "training/recognition.py", "--out", "x"]
    assert lost()[1] == [(sys.executable, command)]
    assert os.environ[RESTARTS] == "1 0"


def test_it_ends_where_nothing_is_gained(lost, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TF_CONFIG", "{}")
    for _ in range(MOST_RESTARTS):
        assert len(lost()[1]) == 1
    assert lost() == (1, [])
    assert "lost again and again: Collective ops is aborted" in capsys.readouterr().err
    (tmp_path / "history.csv").write_text("stage,epoch\ngame,1\n")  # an epoch was gained
    assert len(lost()[1]) == 1
    assert os.environ[RESTARTS] == "1 1"
