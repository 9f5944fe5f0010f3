"""The prepare step: from a set as it was delivered to records ready for training, and a report."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from tfface.data.datasets.base import PhotoDatasetBuilder
from tfface.data.datasets.report import REPORT_NAME
from tfface.data.datasets.request import RequestError, quiet_tfds, requested_builder
from tfface.data.datasets.spreading import beam_options
from tfface.data.datasets.workplace import replacing, sole_maker


def prepare(
    name: str,
    manual_dir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    config_name: str | None = None,
    detector: str = "mtcnn",
    detector_model: str | os.PathLike | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    beam_pipeline_options: str | None = None,
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
        workers: Number of pictures worked on at once; None for one a core.
        beam_pipeline_options: Options of Apache Beam in `tfds build`'s notation
            ("runner=DirectRunner,direct_num_workers=4"): the faces are cut on that runner instead.

    Returns:
        The report that lies beside the records as report.json (frames read and kept, frames without
        a face, unreadable ones with their reasons, pictures left out because they have no labels,
        what was not delivered, counts of AUs and expressions) and `directory`, where the records
        are.

    Raises:
        RequestError: For arguments that do not go together: an unknown data set or variant, a
            folder that is not there or not needed, a detector's model file that is none, Beam's
            options where Beam is not installed or has nothing to do.
        ValueError: For anything wrong in the set's lists and labels (a line for each), no face at
            all, or a prepared set of that name that was made from another folder or other labels.
        OSError: If `data_dir` cannot be written to or is full; nothing is left there then.
    """
    builder, manual_dir = requested_builder(
        name, manual_dir, data_dir, config_name, detector, detector_model
    )
    options = _beam_options(builder, beam_pipeline_options)
    builder.workers = workers
    title = f"{name}/{builder.builder_config_name}"
    if overwrite or not builder.data_path.exists():
        print(f"{title}: preparing", flush=True)
        _build(builder, title, manual_dir, overwrite, options)
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
    if report.get("missing"):
        print(f"{title}: the set is not whole, see `missing` in the report", flush=True)
    return {**report, "directory": str(builder.data_path)}


def _build(builder, title: str, manual_dir: Path | None, overwrite: bool, options) -> None:
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
        stack.enter_context(quiet_tfds())
        builder.download_and_prepare(
            download_dir=downloads,
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir, beam_options=options
            ),
        )


def _beam_options(builder, text: str | None):
    if text is not None and not isinstance(builder, PhotoDatasetBuilder):
        raise RequestError(
            f"`beam_pipeline_options` must be None for {builder.name!r}, which is made on the "
            f"spot. Received: {text!r}."
        )
    try:
        return beam_options(text)
    except ValueError as error:
        raise RequestError(f"`beam_pipeline_options`: {error}") from error


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
