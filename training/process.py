"""A training script as a process: the job, its exit code, and how it outlives other workers."""

import os
import sys
import time
from pathlib import Path

import tensorflow as tf
from configuration import RunError, UsageError, make_parser, read_config
from devices import in_cluster
from run import read_history

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
"""What TensorFlow raises in a worker when another one is gone, or is back as a new process."""

RESTARTS = "TFFACE_RESTARTS"
"""Environment variable of a worker that began again: how often, and after how many epochs."""

MOST_RESTARTS = 10
"""How often in a row a worker begins again without an epoch gained."""


def main(description, groups, job):
    """Runs a training script: `attempt` of `job` with the config that the user gives."""
    return attempt(job, read_config(make_parser(description, groups)))


def attempt(job, config):
    """Runs a job and turns what goes wrong into one line and an exit code.

    Where several workers train together and another one is lost, this process takes its own place:
    the same command, from the start, which waits for the other and goes on with it from the last
    whole epoch. TensorFlow's own state cannot be mended in a running process.

    Args:
        job: Function of the config.
        config: What it is to do.

    Returns:
        int: 0 done, 1 failed, 2 asked wrongly, 130 stopped by Ctrl-C.
    """
    try:
        job(config)
    except UsageError as error:
        return _complain(error, 2)
    except LOST as error:
        if not in_cluster():
            return _complain(error, 1)
        return _begin_again(config, error)
    except (RunError, OSError, tf.errors.OpError) as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("stopped; the same command goes on from the last whole epoch", 130)
    return 0


def _begin_again(config, error):
    epochs = sum(len(read_history(path.parent)) for path in Path(config.out).rglob("history.csv"))
    count, before = map(int, os.environ.get(RESTARTS, f"0 {epochs}").split())
    count = count + 1 if epochs == before else 1
    if count > MOST_RESTARTS:
        return _complain(f"another worker is lost again and again: {error}", 1)
    os.environ[RESTARTS] = f"{count} {epochs}"
    print("another worker is lost; beginning again, with it, from the last whole epoch", flush=True)
    time.sleep(1)  # the others notice as well
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _complain(error, code):
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
