"""The server's own files in `savedmodels/`: read as the server would, and right about tfface."""

import re
from pathlib import Path

import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from tfface.serving.systems import NETWORKS
from tfface.serving.warmup import BATCH_SIZES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "savedmodels"


def batching_parameters():
    """The message of `session_bundle_config.proto`, which tensorflow-serving-api leaves out."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="test")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches")
    for number, name in enumerate((*wrapped, "num_batch_threads"), start=1):
        message.field.add(
            name=name,
            number=number,
            label=kinds.LABEL_OPTIONAL,
            type=kinds.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
        )
    message.field.add(
        name="allowed_batch_sizes", number=6, label=kinds.LABEL_REPEATED, type=kinds.TYPE_INT64
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.BatchingParameters"))()


def test_models_are_the_systems():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((FOLDER / "models.config").read_text(), config)
    models = config.model_config_list.config
    assert {model.name for model in models} == set(NETWORKS) and len(models) == len(NETWORKS)
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"


def test_batches_are_of_the_sizes_that_are_warmed_up():
    parameters = text_format.Parse((FOLDER / "batching.config").read_text(), batching_parameters())
    assert tuple(parameters.allowed_batch_sizes) == BATCH_SIZES
    assert parameters.max_batch_size.value == BATCH_SIZES[-1]  # as the server demands
    assert parameters.batch_timeout_micros.value > 0 < parameters.max_enqueued_batches.value


def test_compose_mounts_what_it_names():
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    assert service["volumes"] == [".:/models:ro"]
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    assert flags.pop("enable_batching") == "true"
    for path in flags.values():
        assert (FOLDER / Path(path).relative_to("/models")).is_file()
    assert [port.split(" ")[0] for port in service["ports"]] == [
        "127.0.0.1:8500:8500",
        "127.0.0.1:8501:8501",
    ]


def test_the_server_is_of_the_release_that_writes_the_models():
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    lock = (ROOT / "requirements.lock").read_text()
    (version,) = re.findall(r"^tensorflow==(.*)$", lock, re.MULTILINE)
    (api,) = re.findall(r"^tensorflow-serving-api==(.*)$", lock, re.MULTILINE)
    assert service["image"] == f"tensorflow/serving:{version}" and api == version
