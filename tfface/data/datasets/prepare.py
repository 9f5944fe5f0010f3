"""The prepare step: from a set as it was delivered to records ready for training, and a report."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tfface.data.datasets.base import REPORT_NAME, PhotoConfig
from tfface.data.datasets.workplace import replacing, sole_maker
from tfface.data.detection import create_detector


class RequestError(ValueError):
    """Arguments of `prepare` that do not go together: what was asked is wrong, not the data."""


def available() -> tuple[str, ...]:
    """The data sets that have a builder here."""
    folders = Path(__file__).parent.glob("*/*_dataset_builder.py")
    return tuple(sorted(file.parent.name for file in folders))


def prepare(
    name: str,
    manual_dir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    config_name: str | None = None,
    detector: str = "mtcnn",
    detector_model: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Builds a data set, as `tfds build` does, with a progress bar and a report.

    A set that is prepared already is left as it is and its report returned.

    Args:
        name: The data set (`available()`).
        manual_dir: The folder with the set as it was delivered; sets that need none take none.
        data_dir: Where prepared sets live; TFDS's own folder (`TFDS_DATA_DIR`, else
            ~/tensorflow_datasets) if None.
        config_name: The set's variant. For `image_folder` the name under which the folder will be
            known, its own name if None; elsewhere the set's first variant if None.
        detector: "mtcnn" or "yunet": what finds the faces where the set delivers no landmarks.
        detector_model: YuNet's model file.
        overwrite: Build anew even if the set is prepared already.

    Returns:
        The report that lies beside the records as report.json (frames read and kept, frames without
        a face, unreadable ones with their reasons, counts of AUs and expressions) and `directory`,
        where the records are.

    Raises:
        RequestError: For arguments that do not go together: an unknown data set or variant, a
            folder that is not there or not needed, a detector's model file that is none.
        ValueError: For anything wrong in the set's lists and labels (a line for each), no face at
            all, or a prepared set of that name that was made from another folder or other labels.
        OSError: If `data_dir` cannot be written to or is full; nothing is left there then.
    """
    if name not in available():
        raise RequestError(f"`name` must be one of {', '.join(available())}. Received: {name!r}.")
    module = f"tfface.data.datasets.{name}.{name}_dataset_builder"
    builder_class = importlib.import_module(module).Builder
    manual_dir = _checked_folder(name, builder_class, manual_dir)
    config = _config(builder_class, config_name, manual_dir, detector, detector_model)
    with _quiet_tfds():  # which hints at configs that it does not know
        builder = builder_class(data_dir=data_dir, config=config)
    title = f"{name}/{builder.builder_config_name}"
    if overwrite or not builder.data_path.exists():
        print(f"{title}: preparing", flush=True)
        _build(builder, title, manual_dir, overwrite)
    else:
        print(f"{title}: prepared already in {builder.data_path}", flush=True)
    report = _read_report(builder)
    _check_same_source(title, builder, report, manual_dir)
    print(
        f"{title}: {report['frames']} pictures read, {report['kept']} faces kept, "
        f"{len(report['without_face'])} without a face, {len(report['unreadable'])} unreadable; "
        f"{report['subjects']} subjects; report in {builder.data_path / REPORT_NAME}",
        flush=True,
    )
    return {**report, "directory": str(builder.data_path)}


def _build(builder, title: str, manual_dir: Path | None, overwrite: bool) -> None:
    """Makes the set, alone, unless somebody else did while this process waited."""

    def say_busy():
        print(f"{title}: waiting for another process that prepares it", flush=True)

    with contextlib.ExitStack() as stack:
        downloads = stack.enter_context(tempfile.TemporaryDirectory())  # TFDS wants a folder
        stack.enter_context(_writing_to(builder.data_path, title))
        stack.enter_context(sole_maker(builder.data_path, say_busy))
        if builder.data_path.exists() and not overwrite:
            return
        stack.enter_context(replacing(builder.data_path))
        stack.enter_context(_quiet_tfds())
        builder.download_and_prepare(
            download_dir=downloads,
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
        )


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
    if not issubclass(builder_class.builder_config_cls, PhotoConfig):
        name = config_name or next(iter(declared))
        if name not in declared:
            raise RequestError(
                f"`config_name` must be one of {', '.join(declared)}. Received: {config_name!r}."
            )
        return declared[name]
    name = config_name or re.sub(r"[^0-9A-Za-z_.-]", "_", manual_dir.name)
    try:
        if detector == "yunet":
            create_detector(detector, detector_model)  # a wrong model file stops here, not midway
            detector_model = str(Path(detector_model).resolve())
        wanted = PhotoConfig(name=name, detector=detector, detector_model=detector_model)
    except ValueError as error:
        raise RequestError(error) from error
    if name not in declared:
        return wanted
    if (declared[name].detector, declared[name].detector_model) != (detector, detector_model):
        raise RequestError(
            f"`config_name` must not be {name!r}, TFDS's own, with another detector. "
            f"Received: detector {detector!r}."
        )
    return declared[name]


def _read_report(builder) -> dict[str, Any]:
    path = Path(builder.data_path) / REPORT_NAME
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}: must be the report of a prepared data set ({error}); prepare it anew with "
            "overwrite."
        ) from error


def _check_same_source(title, builder, report, manual_dir) -> None:
    """Raises if the prepared set was made from another folder, or its lists changed since."""
    if manual_dir is None:
        return
    if report.get("source") != str(manual_dir):
        raise ValueError(
            f"{title}: is prepared already, from {report.get('source')}; give another name or "
            f"overwrite it. Received: {manual_dir}."
        )
    if report.get("source_digest") != builder.source_digest(manual_dir):
        raise ValueError(
            f"{title}: is prepared already, but the lists and labels in {manual_dir} have changed "
            "since; give another name or overwrite it."
        )


@contextlib.contextmanager
def _writing_to(folder, title: str) -> Iterator[None]:
    """Says in one line which folder could not be written, whoever tried, Python or TensorFlow."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # TFDS wraps TensorFlow's own errors in a RuntimeError; any other RuntimeError is a fault.
        by_tensorflow = isinstance(error.__cause__, tf.errors.OpError)
        if isinstance(error, RuntimeError) and not by_tensorflow:
            raise
        reason = " ".join(str(error).split())
        raise OSError(f"{title}: cannot be written to {folder} ({reason}).") from error


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
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
