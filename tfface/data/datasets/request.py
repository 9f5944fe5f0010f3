"""What is asked of a data set, and the builder that does it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.detection import create_detector


class RequestError(ValueError):
    """Arguments that do not go together: what was asked is wrong, not the data."""


def available() -> tuple[str, ...]:
    """The data sets that have a builder here."""
    folders = Path(__file__).parent.glob("*/*_dataset_builder.py")
    return tuple(sorted(file.parent.name for file in folders))


def builder_class_of(name: str) -> type:
    """The TFDS builder of one of the `available` data sets."""
    module = f"tfface.data.datasets.{name}.{name}_dataset_builder"
    return importlib.import_module(module).Builder


def requested_builder(
    name: str,
    manual_dir: str | os.PathLike | None,
    data_dir: str | os.PathLike | None = None,
    config_name: str | None = None,
    detector: str = "mtcnn",
    detector_model: str | os.PathLike | None = None,
) -> tuple[tfds.core.DatasetBuilder, Path | None]:
    """The builder that was asked for, and the delivered folder, absolute.

    Args:
        name: The data set (`available()`).
        manual_dir: The folder with the set as it was delivered; sets that need none take none.
        data_dir: Where prepared sets live; TFDS's own folder if None.
        config_name: The set's variant. For `image_folder` the name under which the folder will be
            known, its own name if None; elsewhere the set's first variant if None.
        detector: What finds the faces where the set delivers no landmarks. A set that is aligned
            with another than MTCNN is a variant of its own: `<variant>_<detector>`.
        detector_model: YuNet's model file.

    Raises:
        RequestError: If there is no such data set or variant, or the arguments do not fit it.
    """
    if name not in available():
        raise RequestError(f"`name` must be one of {', '.join(available())}. Received: {name!r}.")
    builder_class = builder_class_of(name)
    manual_dir = _checked_folder(name, builder_class, manual_dir)
    config = _config(builder_class, config_name, manual_dir, detector, detector_model)
    with quiet_tfds():  # which hints at configs that it does not know
        return builder_class(data_dir=data_dir, config=config), manual_dir


def _checked_folder(name: str, builder_class, manual_dir) -> Path | None:
    """The delivered folder, absolute; None for a set that needs none."""
    if builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS is None:
        if manual_dir is not None:
            raise RequestError(f"`manual_dir` must be None for {name!r}. Received: {manual_dir}.")
        return None
    if manual_dir is None:
        raise RequestError(
            f"`manual_dir` must name the folder of {name!r} as it was delivered. Received: None."
        )
    if not Path(manual_dir).is_dir():
        received = "a file" if Path(manual_dir).exists() else "which is not there"
        raise RequestError(f"`manual_dir` must be a folder. Received: {manual_dir}, {received}.")
    if not any(Path(manual_dir).iterdir()):
        raise RequestError(
            f"`manual_dir` must hold {name!r} as it was delivered. "
            f"Received: {manual_dir}, which is empty."
        )
    return Path(manual_dir).resolve()


def _config(builder_class, config_name, manual_dir, detector, detector_model):
    """The builder config of a name: a declared one, or a folder's own for `image_folder`."""
    declared = {config.name: config for config in builder_class.BUILDER_CONFIGS}
    of_photos = issubclass(builder_class, PhotoDatasetBuilder)
    if not (of_photos and builder_class.NAMED_BY_USER):
        config_name = config_name or next(iter(declared))
        if config_name not in declared:
            raise RequestError(
                f"`config_name` must be one of {', '.join(declared)}. Received: {config_name!r}."
            )
        if not of_photos:
            return declared[config_name]
    config_name = config_name or re.sub(r"[^0-9A-Za-z_.-]", "_", manual_dir.name)
    wanted = declared.get(config_name)
    try:
        if detector == "yunet":
            create_detector(detector, detector_model)  # a wrong model file stops here, not midway
            detector_model = str(Path(detector_model).resolve())
        if wanted is None:
            return PhotoConfig(name=config_name, detector=detector, detector_model=detector_model)
        if (wanted.detector, wanted.detector_model) == (detector, detector_model):
            return wanted
        return dataclasses.replace(
            wanted,
            name=f"{config_name}_{detector}",
            detector=detector,
            detector_model=detector_model,
        )
    except ValueError as error:
        raise RequestError(error) from error


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Keeps TFDS's many bars, its talk of downloads and its hints off the terminal; ours stay."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)
