"""Procedural faces with exact labels, as a TFDS data set."""
