"""BP4D-Spontaneous, as a TFDS data set."""
