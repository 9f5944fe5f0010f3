"""What each system's exported model computes, as TensorFlow functions in a `Servable`."""
