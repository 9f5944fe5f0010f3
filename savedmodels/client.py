"""Asks a TensorFlow Serving server what a system makes of a picture, over REST or gRPC.

    python savedmodels/client.py restoration face.jpg -o answers
    python savedmodels/client.py recognition face.jpg --grpc localhost:8500
    python savedmodels/client.py synthesis face.jpg --values -1 1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1

Pictures of the answer become files in the folder, its numbers are printed with their labels, which
it finds where the models lie beside this program. Over REST it needs nothing but Python, over gRPC
tensorflow-serving-api.
"""

import argparse
import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

SYSTEMS = ("restoration", "recognition", "magnification", "regeneration", "synthesis")
TIMEOUT = 60.0  # seconds


class AskError(Exception):
    """No answer; the message is one line."""


def ask_rest(url, system, inputs):
    """A model's answer to one picture, over REST.

    Args:
        url: Of the server, such as "http://localhost:8501".
        system: The model's name.
        inputs: Name to bytes or list of numbers.

    Returns:
        Name to value of each output: numbers, text and bytes, in lists where there are several.

    Raises:
        AskError: If the server is not there, or refuses.
    """
    instance = {
        name: {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in inputs.items()
    }
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/models/{system}:predict",
        json.dumps({"instances": [instance]}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            (answer,) = json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        raise AskError(f"{url}: {_reason(error)} ({error.code})") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise AskError(f"{url}: no server answers ({reason})") from error
    except (ValueError, KeyError) as error:
        raise AskError(f"{url}: what answers is no TensorFlow Serving") from error
    return {name: _decoded(value) for name, value in answer.items()}


def ask_grpc(address, system, inputs):
    """A model's answer to one picture, over gRPC: as `ask_rest` gives it.

    Args:
        address: Of the server, such as "localhost:8500".
        system: The model's name.
        inputs: Name to bytes or list of numbers.

    Returns:
        Name to value of each output.

    Raises:
        AskError: If the server is not there, or refuses.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = system
    for name, value in inputs.items():
        dtype = tf.string if isinstance(value, bytes) else tf.float32
        request.inputs[name].CopyFrom(tf.make_tensor_proto([value], dtype))
    # Faces as floats, and many of them, are more than the 4 MB that gRPC allows by itself.
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            response = stub.Predict(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            reason = " ".join(error.details().split())
            raise AskError(f"{address}: {reason} ({error.code().name})") from error
    batches = {name: tf.make_ndarray(value).tolist() for name, value in response.outputs.items()}
    answer = {name: value for name, (value,) in batches.items()}
    return {**answer, "error": answer["error"].decode()}


def labels_of(system):
    """What each number of an answer stands for, as the model's newest version here says."""
    files = Path(__file__).parent.glob(f"{system}/*/labels.txt")
    files = [file for file in files if file.parent.name.isdecimal()]
    newest = max(files, key=lambda file: int(file.parent.name), default=None)
    return newest.read_text().splitlines() if newest else []


def show(answer, labels, folder, stem):
    """Writes an answer's pictures to a folder and prints its numbers."""
    for name, value in sorted(answer.items()):
        values = value if isinstance(value, list) else [value]
        names = labels if len(labels) == len(values) else range(len(values))
        if name.endswith("_bytes"):
            folder.mkdir(parents=True, exist_ok=True)
            for label, content in zip(names, values, strict=True):
                which = f"_{label}" if isinstance(value, list) else ""
                file = folder / f"{stem}_{name.removesuffix('_bytes')}{which}.png"
                file.write_bytes(content)
                print(file)
        elif isinstance(value, int) and not isinstance(value, bool):
            print(f"{name}: {labels[value] if value < len(labels) else value}")
        elif not isinstance(values[0], (list, str)):  # pixels are in the files
            print(f"{name}:")
            for label, number in zip(names, values, strict=True):
                text = f"{number:.4f}" if isinstance(number, float) else str(number)
                print(f"  {text}  {label}")


def main(arguments=None):
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("system", metavar="SYSTEM", choices=SYSTEMS, help=", ".join(SYSTEMS))
    parser.add_argument("picture", metavar="PICTURE", type=Path, help="JPEG or PNG, aligned face")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--rest", metavar="URL", default="http://localhost:8501")
    where.add_argument("--grpc", metavar="HOST:PORT")
    parser.add_argument(
        "--values",
        metavar="V",
        type=float,
        nargs="+",
        help="synthesis: what each action unit shall be, 0 to 1, or -1: it stays",
    )
    parser.add_argument("-o", "--out", metavar="FOLDER", type=Path, default=Path())
    args = parser.parse_args(arguments)
    if (args.system == "synthesis") != (args.values is not None):
        parser.error("--values must be given for synthesis, and for no other system")
    try:
        inputs = {"image_bytes": args.picture.read_bytes()}
        if args.values is not None:
            inputs["values"] = args.values
        if args.grpc:
            answer = ask_grpc(args.grpc, args.system, inputs)
        else:
            answer = ask_rest(args.rest, args.system, inputs)
        if error := answer.pop("error"):
            raise AskError(f"{args.picture}: {error}")
        show(answer, labels_of(args.system), args.out, args.picture.stem)
    except (AskError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _reason(error):
    """What the server says of a request that it refuses, in one line."""
    try:
        said = json.load(error)["error"]
    except (ValueError, KeyError, TypeError):
        said = error.reason
    return " ".join(str(said).split())


def _decoded(value):
    """A value of REST's JSON, its base64 as bytes."""
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [_decoded(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
