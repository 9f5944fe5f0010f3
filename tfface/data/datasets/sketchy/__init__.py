"""Sketches of the Sketchy Database beside destroyed copies, as a TFDS data set."""
