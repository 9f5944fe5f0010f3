"""Prepared data sets: found by name, opened, and read in a fixed order.

A prepared set is what a `FaceDatasetBuilder` writes: TFDS files of the one record, in splits by
subject, with metadata that says which AUs, expressions and subjects there are.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfface.data.datasets.base import PhotoConfig
from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.request import available

_INTERLEAVED_FILES = 64


@dataclass(frozen=True)
class FaceSource:
    """A prepared data set of faces, as `FaceDatasetBuilder` writes it.

    Attributes:
        directory: Where its files are.
        action_units: The AUs in the order of a record's `au`.
        expressions: The expressions' names in the order of their class ids.
        subjects: {split: subjects in it}.
        splits: All splits, sorted.
    """

    directory: Path
    action_units: tuple[int, ...]
    expressions: tuple[str, ...]
    subjects: Mapping[str, tuple[str, ...]]
    splits: tuple[str, ...]

    @classmethod
    def open(cls, directory) -> FaceSource:
        """Opens the folder of a prepared data set, the one that holds its dataset_info.json.

        Raises:
            FileNotFoundError: If there is no prepared data set.
            ValueError: If it is not one of faces.
        """
        if not (Path(directory) / "dataset_info.json").is_file():
            raise FileNotFoundError(
                f"{directory}: must be the folder of a prepared data set, with dataset_info.json."
            )
        info = tfds.builder_from_directory(directory).info
        metadata = info.metadata or {}
        missing = {"action_units", "expressions", "subjects"} - set(metadata)
        if missing:
            raise ValueError(
                f"{directory}: must be a data set made by a FaceDatasetBuilder. "
                f"Received: one without {', '.join(sorted(missing))} in its metadata."
            )
        return cls(
            directory=Path(directory),
            action_units=tuple(metadata["action_units"]),
            expressions=tuple(metadata["expressions"]),
            subjects={name: tuple(names) for name, names in metadata["subjects"].items()},
            splits=tuple(sorted(info.splits)),
        )

    @functools.cached_property
    def _builder(self) -> tfds.core.DatasetBuilder:
        return tfds.builder_from_directory(self.directory)

    def people_of(self, splits: Iterable[str]) -> set[tuple[str, str]]:
        """The people in some splits, each as (data set, subject).

        The variants of a data set share people, but for those of `image_folder`: each is a set of
        its own, and equal names in two sets mean nothing.
        """
        *_, dataset, variant, _ = self.directory.parts
        name = f"{dataset}/{variant}" if dataset == "image_folder" else dataset
        return {(name, subject) for split in splits for subject in self.subjects[split]}

    def count(self, splits: Iterable[str]) -> int:
        """Returns the number of records in some splits.

        Raises:
            ValueError: If no split is named, there is no such split, or one is named twice.
        """
        return sum(self._builder.info.splits[name].num_examples for name in self._known(splits))

    def records(self, splits: Iterable[str]) -> tf.data.Dataset:
        """Reads the records of some splits, split after split, always in the same order.

        Returns:
            Dicts as `schema.features` describes them, `image` decoded; and `row`, int64, the
            record's position here, which it keeps in whatever order it is read.

        Raises:
            ValueError: If no split is named, there is no such split, or one is named twice.
        """
        return self._read(splits, interleaved=1)

    def values(self, splits: Iterable[str], keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Reads some keys of all records without decoding an image.

        Returns:
            By key, an array with one entry a record, in the order of `records`.
        """
        keys = tuple(keys)
        records = self._read(splits, 1, tfds.decode.PartialDecoding(dict.fromkeys(keys, True)))
        rows = [[record[key] for key in keys] for record in records.as_numpy_iterator()]
        return dict(zip(keys, map(np.array, zip(*rows, strict=True)), strict=True))

    def action_unit_labels(self, splits: Iterable[str]) -> np.ndarray:
        """Reads the labels alone: (records, AUs) float32, in the order of `records`."""
        labels = self.values(splits, ["au"])["au"]
        return np.reshape(labels, (len(labels), len(self.action_units))).astype(np.float32)

    def encoded(self, splits: Iterable[str], in_turns: bool = True) -> tf.data.Dataset:
        """Reads records with encoded images, which a shuffle or a filter holds or drops cheaply.

        Args:
            splits: As in `records`.
            in_turns: Whether the files of all splits come in turns, so that neighbors are of many
                subjects; else the order is that of `records`. Both orders are fixed.
        """
        decoders = {"image": tfds.decode.SkipDecoding()}
        return self._read(splits, _INTERLEAVED_FILES if in_turns else 1, decoders)

    def decoded(self, record: dict) -> dict:
        """Decodes the image of a record that `encoded` gave."""
        image = self._builder.info.features["image"].decode_example(record["image"])
        return {**record, "image": image}

    def _read(self, splits, interleaved, decoders=None):
        splits = self._known(splits)
        dataset = self._builder.as_dataset(
            split="+".join(splits),
            decoders=decoders,
            shuffle_files=False,
            read_config=tfds.ReadConfig(
                interleave_cycle_length=interleaved,
                interleave_block_length=1,
                try_autocache=False,
                skip_prefetch=True,
                add_tfds_id=True,
                enable_ordering_guard=False,  # interleaving a set that was stored in order is meant
            ),
        )
        # A set that learns its AUs from its files does not know their number when it is declared.
        shape = (len(self.action_units),)
        labels = [key for key in ("au", "au_intensity") if key in dataset.element_spec]
        first_rows = self._first_rows(splits)

        def completed(record):
            # TFDS names a record "<file>__<position in it>"; a split's name may hold "__" as well.
            name = record.pop("tfds_id")
            file = tf.strings.regex_replace(name, "__[0-9]+$", "")
            position = tf.strings.regex_replace(name, "^.*__", "")
            row = first_rows.lookup(file) + tf.strings.to_number(position, tf.int64)
            known = {key: tf.ensure_shape(record[key], shape) for key in labels}
            return record | known | {"row": row}

        return dataset.map(completed)

    def _first_rows(self, splits):
        """A table from a file's name to the row of its first record."""
        infos = [self._builder.info.splits[name] for name in splits]
        lengths = [length for info in infos for length in info.shard_lengths]
        files = [file for info in infos for file in sorted(info.filenames)]
        first = np.cumsum([0, *lengths[:-1]])
        entries = tf.lookup.KeyValueTensorInitializer(files, first, tf.string, tf.int64)
        return tf.lookup.StaticHashTable(entries, default_value=-1)

    def _known(self, splits: Iterable[str]) -> tuple[str, ...]:
        if isinstance(splits, str):
            raise ValueError(f"`splits` must be a sequence of names. Received: {splits!r}.")
        splits = tuple(splits)
        if not splits:
            raise ValueError("`splits` must name at least one split. Received: none.")
        unknown = sorted(set(splits) - set(self.splits))
        if unknown:
            raise ValueError(
                f"`splits` must be among the {len(self.splits)} of {self.directory}, "
                f"{self.splits[0]} to {self.splits[-1]}. Received: {', '.join(unknown)}."
            )
        if len(set(splits)) < len(splits):
            raise ValueError(f"`splits` must not repeat a split. Received: {', '.join(splits)}.")
        return splits


def open_source(name: str, data_dir=None, manual_dir=None) -> FaceSource:
    """Opens a data set by name, preparing it first where that can be done on the spot.

    Args:
        name: `<data set>/<config>`, such as "synthetic_faces/frames_small", which is made if it is
            not there, or "image_folder/NAME", which `tfface prepare` made; without `/<config>`, the
            data set's first config.
        data_dir: Where prepared sets live; TFDS's own folder (`TFDS_DATA_DIR`, else
            ~/tensorflow_datasets) if None.
        manual_dir: The set as it was delivered, to prepare it from if it is not there.

    Returns:
        The data set.

    Raises:
        ValueError: If there is no such data set or config, or preparing it fails.
        FileNotFoundError: If it is not prepared and `manual_dir` is not given.
    """
    dataset, _, config_name = name.partition("/")
    if dataset not in available():
        raise ValueError(
            f"`name` must be one of {', '.join(available())}, or one of them with /<config>. "
            f"Received: {name!r}."
        )
    module = importlib.import_module(f"tfface.data.datasets.{dataset}.{dataset}_dataset_builder")
    configs = {config.name: config for config in module.Builder.BUILDER_CONFIGS}
    config_name = config_name or next(iter(configs))
    if config_name in configs:
        config = configs[config_name]
    elif issubclass(module.Builder.builder_config_cls, PhotoConfig):
        config = PhotoConfig(name=config_name)
    else:
        raise ValueError(
            f"`name` must be {dataset} with one of {', '.join(configs)}. Received: {name!r}."
        )
    directory = module.Builder(data_dir=data_dir, config=config).data_path
    if not directory.exists():
        if manual_dir is None and module.Builder.MANUAL_DOWNLOAD_INSTRUCTIONS is not None:
            raise FileNotFoundError(
                f"{dataset}/{config_name} is not prepared in {directory}: run `tfface prepare "
                f"{dataset} --manual_dir DIR --name {config_name}`, or give `manual_dir`."
            )
        prepare(dataset, manual_dir, data_dir, config_name)
    elif manual_dir is not None:
        # Says so if the prepared set was made from another folder.
        prepare(dataset, manual_dir, data_dir, config_name)
    return FaceSource.open(directory)
