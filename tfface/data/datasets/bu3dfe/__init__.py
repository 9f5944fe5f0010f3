"""BU-3DFE, as a TFDS data set."""
