"""The Extended Cohn-Kanade data set (CK+), as a TFDS data set."""
