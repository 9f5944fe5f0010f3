"""TensorFlow loaded without its start-up talk, and failures as one line."""

import contextlib
import logging
import os
import sys


class CommandError(Exception):
    """Why a command cannot go on, in one line for the user.

    Args:
        *messages: The line; several where several things are wrong.
        code: Exit code: 2 for what the user typed, 1 for a job that failed.
    """

    def __init__(self, *messages, code=1):
        self.lines = [" ".join(str(message).split()) for message in messages]
        super().__init__("\n".join(self.lines))
        self.code = code


def load_tensorflow(wake=True):
    """Imports TensorFlow with nothing of it on the terminal.

    Args:
        wake: Whether its devices are found at once, which a program that has yet to choose among
            them must not do.

    TensorFlow writes about CPU features and absent GPUs straight to the process's error stream
    before any log level of its own holds; and as errors it writes of graph rewritings that it then
    does without. What really fails is raised. With TF_CPP_MIN_LOG_LEVEL=0 in the environment all of
    it shows.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import tensorflow as tf
        from absl import logging as absl_logging

        logging.getLogger("tensorflow").setLevel("ERROR")
        # Through absl's own setting: who raises that for a while would bring back a logger's level.
        absl_logging.set_verbosity(absl_logging.ERROR)
        if wake:
            tf.constant(0)  # the first operation finds the devices


@contextlib.contextmanager
def quiet_stderr():
    """Keeps what libraries write to the error stream, below Python too, off the terminal."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
