"""Stand-ins for TensorFlow Serving, which is not on the machines that run the tests.

They answer `Predict` over gRPC and the predict API over REST as its documentation says, with the
SavedModels that they are given; of batching, versions and metadata they know nothing.
"""

import base64
import contextlib
import http.server
import json
import threading
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def answer(models, system, inputs):
    """What a model answers.

    Args:
        models: System to its loaded SavedModel.
        system: Name of the model.
        inputs: Name to array.

    Returns:
        Name to array.

    Raises:
        LookupError: If there is no such model.
        ValueError: If its inputs are others.
    """
    if system not in models:
        raise LookupError(f"Servable not found for request: Latest({system})")
    serve = models[system].signatures["serving_default"]
    _, wanted = serve.structured_input_signature
    if set(inputs) != set(wanted):
        raise ValueError(f"input size does not match signature: {len(inputs)}!={len(wanted)}")
    tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in wanted.items()}
    for name, tensor in tensors.items():
        if not wanted[name].shape.is_compatible_with(tensor.shape):
            raise ValueError(f"{name} of shape {tensor.shape} does not fit the signature's")
    return {name: value.numpy() for name, value in serve(**tensors).items()}


@contextlib.contextmanager
def grpc_server(models):
    """Runs a server; gives its address."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                outputs = answer(models, request.model_spec.name, inputs)
            except LookupError as error:
                context.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(models):
    """Runs a server; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            system = self.path.removeprefix("/v1/models/").removesuffix(":predict")
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            rows = request["instances"]
            inputs = {name: [_from_json(row[name]) for row in rows] for name in rows[0]}
            try:
                outputs = answer(models, system, inputs)
            except (LookupError, ValueError) as error:
                status = 404 if isinstance(error, LookupError) else 400
                self._send(status, {"error": str(error.args[0])})
                return
            parts = {name: _to_json(name, value) for name, value in outputs.items()}
            predictions = [{n: v[i] for n, v in parts.items()} for i in range(len(rows))]
            self._send(200, {"predictions": predictions})

        def _send(self, status, content):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _from_json(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _to_json(name, value):
    """Strings are base64 where the output's name ends in _bytes, else text."""
    if value.dtype != object:
        return value.tolist()
    if name.endswith("_bytes"):
        coded = [{"b64": base64.b64encode(one).decode()} for one in value.ravel()]
    else:
        coded = [one.decode() for one in value.ravel()]
    return np.array(coded, object).reshape(value.shape).tolist()
