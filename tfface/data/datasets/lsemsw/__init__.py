"""LSEMSW, subtle expressions from films, as a TFDS data set."""
