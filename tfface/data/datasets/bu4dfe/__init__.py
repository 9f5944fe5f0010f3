"""BU-4DFE, as a TFDS data set."""
