"""One TFDS builder folder a data set, and what the builders share."""
