import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfface.serving.warmup import BATCH_SIZES, WARMUP, write_warmup


def test_every_signature_is_asked_in_every_size(tmp_path, servable):
    write_warmup(servable, tmp_path)
    assert (tmp_path / WARMUP).stat().st_size < 100_000
    records = tf.data.TFRecordDataset(str(tmp_path / WARMUP)).as_numpy_iterator()
    requests = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in records
    ]
    asked = [
        (request.model_spec.signature_name, *(v.tensor_shape.dim[0].size for v in inputs.values()))
        for request in requests
        if (inputs := request.inputs)
    ]
    expected = [("serving_default", n) for n in BATCH_SIZES]
    assert asked == expected + [("restore", n, n) for n in BATCH_SIZES]
    faces = tf.make_ndarray(requests[-1].inputs["image"])
    assert faces.shape == (16, 16, 16, 3) and not faces.any()
    for picture in tf.make_ndarray(requests[1].inputs["image_bytes"]):
        assert tf.io.decode_jpeg(picture).shape == (200, 200, 3)
