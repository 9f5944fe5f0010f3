"""Any folder of pictures with a labels.csv, as a TFDS data set."""
