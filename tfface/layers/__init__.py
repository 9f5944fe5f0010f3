"""Keras layers that more than one system can use, in `keras.ops`."""
