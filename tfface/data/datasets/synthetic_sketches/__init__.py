"""Drawn objects, whole and destroyed, as a TFDS data set."""
