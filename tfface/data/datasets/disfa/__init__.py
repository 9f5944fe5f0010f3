"""DISFA, the Denver Intensity of Spontaneous Facial Action data set, as a TFDS data set."""
