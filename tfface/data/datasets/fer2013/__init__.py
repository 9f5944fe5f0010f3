"""FER-2013, as a TFDS data set."""
