"""Where a benchmark runs: `--device cpu` or `gpu`."""

import os
import sys


def add_device(parser):
    """Adds `--device` to a benchmark's parser."""
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), help="where to run (default: the GPU, if there is one)"
    )


def choose(device):
    """Hides the GPUs for "cpu"; for "gpu" ends the program with one line where there is none.

    It must be called before anything has been computed. Processes started later do as this one.
    Where a GPU is used, float32 is made to mean float32: TensorFlow and PyTorch round to TF32 in
    different places otherwise.

    Args:
        device: "cpu", "gpu", or None for whatever there is.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # PyTorch, and the processes to come
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
    elif gpus:
        for gpu in gpus:  # else TensorFlow takes all of its memory, and PyTorch has none
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_tensor_float_32_execution(False)
    elif device == "gpu":
        sys.exit(stop("--device gpu needs a GPU that TensorFlow can use. Found: none"))


def has_gpu():
    """Whether a GPU does the work."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


def stop(message):
    """Says in one line why nothing can be measured; returns exit code 2."""
    print(f"benchmarks: error: {message}", file=sys.stderr)
    return 2
