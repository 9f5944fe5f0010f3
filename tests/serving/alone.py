"""What a server does with every exported model, in a process without tfface and without Keras.

Run by `test_alone.py`, which lets no import of either succeed:
python alone.py MODELS PICTURE..., good JPEG files of several sizes and one PNG.
"""

import contextlib
import io
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli
from tensorflow_serving.apis import prediction_log_pb2

WARMUP = "assets.extra/tf_serving_warmup_requests"


def more_inputs(folder, count):
    """What a system wants beside pictures."""
    labels = folder / "labels.txt"
    if folder.parent.name != "synthesis":
        return {}
    wish = np.full((count, len(labels.read_text().splitlines())), -1, np.float32)
    wish[:, 0] = 1
    return {"values": wish}


def ask(folder, serve, files):
    inputs = {"image_bytes": tf.constant(files, tf.string)}
    more = {name: tf.constant(v) for name, v in more_inputs(folder, len(files)).items()}
    return {name: v.numpy() for name, v in serve(**inputs, **more).items()}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape, name
        if values.dtype.kind == "O":
            assert (found[name] == values).all(), name
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def rows(answer, which):
    return {name: values[which] for name, values in answer.items() if not name.endswith("_bytes")}


def check_sizes_in_one_batch(folder, serve, files):
    """Pictures of several sizes in one batch are answered as they are one by one."""
    together = ask(folder, serve, files)
    assert (together.pop("error") == b"").all()
    for name, values in together.items():
        assert len(values) == len(files), name
        if name.endswith("_bytes"):
            assert all(tf.io.decode_png(file).shape[-1] == 3 for file in values.ravel())
        else:
            assert np.isfinite(values).all(), name
    for i, file in enumerate(files):
        assert_same(
            rows(ask(folder, serve, [file]), [0]),
            {**rows(together, [i]), "error": np.array([b""], object)},
        )


def check_bad_pictures(folder, serve, files):
    """Each has an error, and harms none of the same batch; alone it is answered too."""
    expected = ask(folder, serve, files)
    cut = [file[: len(file) // 2] for file in files]
    (png,) = (file for file in files if file.startswith(b"\x89PNG"))
    bomb = png[:16] + np.array([60000, 60000], ">u4").tobytes() + png[24:]
    for bad in (b"", b"no picture", bomb, *cut):
        found = ask(folder, serve, [*files, bad])
        good = slice(len(files))
        assert_same(rows(found, good), rows(expected, good))
        for answer in (found, ask(folder, serve, [bad])):
            said = answer.pop("error")[-1].decode()
            assert said.startswith("`image_bytes` must be a whole JPEG or PNG file")
            assert bad is not bomb or said.endswith("Received: 60000 x 60000 pixels.")
            for name, values in answer.items():
                nothing = {"O": b"", "f": np.nan, "b": False, "i": -1}[values.dtype.kind]
                expected_row = np.full_like(values[-1:], nothing)
                np.testing.assert_array_equal(values[-1:], expected_row, name)
    assert all(len(values) == 0 for values in ask(folder, serve, []).values())


def check_missing_input(serve):
    try:
        serve()
    except TypeError as error:
        assert "image_bytes" in str(error)
    else:
        raise AssertionError("a call without a picture was answered")


def check_threads(folder, serve, files):
    """Calls from eight threads give what one gives."""
    batches = [files[i % len(files) :] for i in range(24)]
    expected = [ask(folder, serve, batch) for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda batch: ask(folder, serve, batch), batches))
    for one, other in zip(found, expected, strict=True):
        assert_same(rows(one, slice(None)), rows(other, slice(None)))


def check_warmup(folder, signatures):
    """Every record is a request that the model answers."""
    seen = {}
    records = tf.data.TFRecordDataset(str(folder / WARMUP))
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == folder.parent.name
        name = request.model_spec.signature_name
        inputs = {n: tf.constant(tf.make_ndarray(v)) for n, v in request.inputs.items()}
        (count,) = {len(value) for value in inputs.values()}
        answer = signatures[name](**inputs)
        assert all(len(value) == count for value in answer.values())
        assert (answer.get("error", tf.constant([""])).numpy() == b"").all()
        seen.setdefault(name, []).append(count)
    assert set(seen) == set(signatures)
    assert all(counts == [1, 2, 4, 8, 16] for counts in seen.values()), seen


def check_command_line(folder, serve, files):
    """`saved_model_cli run`, in a session as the server's."""
    with tempfile.TemporaryDirectory() as out:
        given = []
        arrays = {"image_bytes": np.array(files), **more_inputs(folder, len(files))}
        for name, array in arrays.items():
            np.save(Path(out, f"in_{name}.npy"), array)
            given.append(f"{name}={out}/in_{name}.npy")
        sys.argv = ["saved_model_cli", "run", "--dir", str(folder), "--tag_set", "serve"]
        sys.argv += ["--signature_def", "serving_default", "--outdir", out, "--inputs"]
        sys.argv += [";".join(given)]
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                saved_model_cli.main()
            except SystemExit as end:
                assert not end.code
        expected = ask(folder, serve, files)
        found = {name: np.load(Path(out, f"{name}.npy"), allow_pickle=True) for name in expected}
    assert_same(rows(found, slice(None)), rows(expected, slice(None)))


def main(models, *pictures):
    assert sys.modules["tfface"] is None and sys.modules["keras"] is None
    files = [Path(picture).read_bytes() for picture in pictures]
    for original in sorted(Path(models).glob("*/1")):
        with tempfile.TemporaryDirectory() as elsewhere:  # a model lives where it is put
            folder = Path(shutil.copytree(original, Path(elsewhere, original.parent.name, "1")))
            loaded = tf.saved_model.load(str(folder))
            serve = loaded.signatures["serving_default"]
            check_sizes_in_one_batch(folder, serve, files)
            check_bad_pictures(folder, serve, files)
            check_missing_input(serve)
            check_threads(folder, serve, files)
            check_warmup(folder, loaded.signatures)
            check_command_line(folder, serve, files)
        print(original.parent.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
