"""TensorFlow's start-up talk stays off the terminal."""

import logging

from absl import logging as absl_logging

from tfface.commands.startup import load_tensorflow


def test_warnings_stay_quiet_after_another_has_changed_the_level_for_a_while():
    before = absl_logging.get_verbosity()
    try:
        load_tensorflow(wake=False)
        loaded = absl_logging.get_verbosity()
        absl_logging.set_verbosity(absl_logging.FATAL)  # as tfface.data.datasets.prepare does
        absl_logging.set_verbosity(loaded)
        logger = logging.getLogger("absl")
        assert not logger.isEnabledFor(logging.WARNING)
        assert logger.isEnabledFor(logging.ERROR)
    finally:
        absl_logging.set_verbosity(before)
