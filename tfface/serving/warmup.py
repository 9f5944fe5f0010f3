"""Requests that TensorFlow Serving answers to itself before it lets clients in.

A model's first call on a batch of a new size is slow: TensorFlow plans the graph, a GPU chooses its
kernels. The server replays this file after loading a version, so that no client waits for that.
"""

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

WARMUP = "assets.extra/tf_serving_warmup_requests"
"""str: where the server looks for it in a SavedModel."""

BATCH_SIZES = (1, 2, 4, 8, 16)
"""tuple of int: pictures in each request; a batching server pads to these (batching.config)."""


def write_warmup(servable, folder):
    """Writes a request of each of `BATCH_SIZES` for each signature.

    What a picture shows makes no difference in time: files are of a gray square, arrays are zeros.

    Args:
        servable: Servable.
        folder: pathlib.Path of the SavedModel.

    Raises:
        tf.errors.OpError: If the file cannot be written.
    """
    path = folder / WARMUP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, endpoint in servable.endpoints.items():
            for size in BATCH_SIZES:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = servable.system
                request.model_spec.signature_name = signature
                for spec in endpoint.specs:
                    request.inputs[spec.name].CopyFrom(_input(spec, size))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(record.SerializeToString())


def _input(spec, size):
    if spec.dtype == tf.string:
        picture = tf.io.encode_jpeg(tf.fill((200, 200, 3), tf.constant(128, tf.uint8)))
        return tf.make_tensor_proto([picture.numpy()] * size)
    # Its one value stands for all, or a batch of pictures would be megabytes of zeros.
    zeros = tf.make_tensor_proto(0.0, spec.dtype)
    zeros.tensor_shape.CopyFrom(tf.TensorShape([size, *spec.shape[1:]]).as_proto())
    return zeros
