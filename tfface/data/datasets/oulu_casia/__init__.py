"""The Oulu-CASIA NIR&VIS facial expression data set, as a TFDS data set."""
