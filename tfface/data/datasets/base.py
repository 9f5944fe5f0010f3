"""What every data set's builder shares: the one record, splits by subject, and the report.

`FaceDatasetBuilder` is for sets that make their own aligned faces; `PhotoDatasetBuilder` adds the
way from delivered photographs to aligned faces. Both write `report.json` beside the prepared
records: what was read, what was kept, what was not and why, and how often each label occurs.

TFDS writes everything into a folder whose name says that it is incomplete and renames it at the
end, so that a build which was stopped leaves nothing that looks finished.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfface.data.datasets.faces import Cut, FaceCutter, FaceStore, PictureKeeper, cut_frames
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.report import REPORT_NAME, Report
from tfface.data.detection import DETECTORS, create_detector
from tfface.data.schema import FACE_SIZE, features

MAX_SUBJECT_SPLITS = 150
N_GROUP_SPLITS = 50


def deal_subjects(subjects: Iterable[str]) -> dict[str, list[str]]:
    """Deals subjects into TFDS splits, so that a fold reads only its own files.

    Up to 150 subjects have a split each, `subject_<id>` (characters that a split's name cannot hold
    become `_`). More are sorted by ID and dealt in turn into 50 splits, `group_00` to `group_49`.

    Args:
        subjects: Subject IDs, in any order.

    Returns:
        {split: [subjects]}, sorted.
    """
    subjects = sorted(set(subjects))
    if len(subjects) > MAX_SUBJECT_SPLITS:
        return {
            f"group_{group:02d}": subjects[group::N_GROUP_SPLITS] for group in range(N_GROUP_SPLITS)
        }
    splits: dict[str, list[str]] = {}
    taken: set[str] = set()
    for subject in subjects:
        name = plain = "subject_" + re.sub(r"[^0-9A-Za-z_]", "_", subject)
        number = 2
        # Two IDs can lose their difference, or keep it only in their case, which not every disk
        # does.
        while name.casefold() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.casefold())
        splits[name] = [subject]
    return splits


class FaceDatasetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder of the one record.

    A data set derives from this class (or from `PhotoDatasetBuilder`), names itself `Builder`, and
    calls `describe` before and `counted` while it yields.

    `info.metadata` holds `action_units` (the AUs in the order of `au`), `expressions` (names in the
    order of the class ids) and `subjects` ({split: [subject IDs]}).

    Attributes:
        workers: How many pictures are worked on at once; None for one a core.
    """

    workers: int | None = None

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (TFDS's own way to declare it)
    HOMEPAGE = ""

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(self._n_action_units(), FACE_SIZE),
            homepage=self.HOMEPAGE,
            metadata=tfds.core.MetadataDict(action_units=[], expressions=[], subjects={}),
        )

    def _n_action_units(self) -> int | None:
        """Number of AUs coded, or None where only the delivered files tell."""
        return None

    def describe(
        self,
        *,
        action_units: Sequence[int],
        expressions: Sequence[str],
        subjects: Mapping[str, Sequence[str]],
    ) -> None:
        """Stores what readers of the prepared set need to know about it."""
        self.info.metadata.update(
            action_units=[int(number) for number in action_units],
            expressions=list(expressions),
            subjects={split: list(names) for split, names in subjects.items()},
        )

    def counted(
        self, records: Iterable[tuple[str, dict[str, Any]]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Passes (key, record) pairs on to TFDS and counts them for the report."""
        for key, record in records:
            self._report.count(record)
            yield key, record

    def _download_and_prepare(self, dl_manager, download_config=None):
        self._report = Report()
        with contextlib.ExitStack() as self._open:  # what subclasses need until all is written
            super()._download_and_prepare(dl_manager, download_config)
        report = {
            "dataset": self.name,
            "config": self.builder_config_name,
            "version": str(self.version),
            **self._report.as_dict(
                self.info.metadata["action_units"], self.info.metadata["expressions"]
            ),
            "splits": len(self.info.metadata["subjects"]),
            "subjects": sum(len(names) for names in self.info.metadata["subjects"].values()),
        }
        # The folder is still the incomplete one: the report appears together with the records.
        (self.data_path / REPORT_NAME).write_text(json.dumps(report, indent=2) + "\n")


@dataclasses.dataclass(eq=False)
class PhotoConfig(tfds.core.BuilderConfig):
    """How faces are found in a set of photographs that delivers no landmarks.

    Attributes:
        detector: "mtcnn" or "yunet".
        detector_model: YuNet's model file.
    """

    detector: str = "mtcnn"
    detector_model: str | None = None

    def __post_init__(self):
        if self.detector not in DETECTORS:
            raise ValueError(
                f"`detector` must be one of {', '.join(DETECTORS)}. Received: {self.detector!r}."
            )
        if not re.fullmatch(r"[0-9A-Za-z_.-]+", self.name):
            raise ValueError(
                "a data set's config name must consist of letters, digits, '_', '-' and '.'. "
                f"Received: {self.name!r}."
            )


class PhotoDatasetBuilder(FaceDatasetBuilder, skip_registration=True):
    """A builder of a set that comes as photographs or videos, which it finds faces in and aligns.

    A data set says what was delivered; faces are aligned from the landmarks that come with it, else
    by the detector of the builder's config (`detector`, `detector_model`). A frame without a face,
    or one that cannot be read, is counted and named in the report, and the others go on.

    Attributes:
        NAMED_BY_USER: Whether every folder is a set of its own, which its user names.
        WHOLE_PICTURES: Whether pictures are taken as they are, because they are cut already or show
            no face.
    """

    NAMED_BY_USER = False
    WHOLE_PICTURES = False

    @abc.abstractmethod
    def delivery(self, manual_dir: Path) -> Delivery:
        """Reads the set's lists and labels, without opening a picture.

        Args:
            manual_dir: The folder with the set as it was delivered.

        Raises:
            ValueError: For anything wrong in the lists or labels, before any picture is opened: a
                line for each.
        """

    def source_digest(self, manual_dir: Path) -> str | None:
        """A digest of the lists and labels, by which a change of them shows; None if fixed."""
        return None

    def _download_and_prepare(self, dl_manager, download_config=None):
        self._beam = download_config and (download_config.beam_options, download_config.beam_runner)
        super()._download_and_prepare(dl_manager, download_config)

    def _split_generators(self, dl_manager):
        manual_dir = Path(dl_manager.manual_dir)
        delivered = self.delivery(manual_dir)
        store = self._open.enter_context(FaceStore(self.data_path))
        self._cut(delivered.frames, store)
        self._report.entries.update(
            source=str(manual_dir.resolve()),
            source_digest=self.source_digest(manual_dir),
            frames=len(delivered.frames),
            without_face=store.without_face,
            without_labels=dict(delivered.without_labels),
            unreadable=store.unreadable,
            missing=list(delivered.missing),
        )
        if not store.kept:
            raise ValueError(
                f"{manual_dir}: must hold at least one picture with a face. "
                f"Received: {len(store.without_face)} pictures without a face and "
                f"{len(store.unreadable)} that cannot be read."
            )
        subjects = _subjects_of_splits(store.kept)
        self.describe(
            action_units=delivered.action_units,
            expressions=delivered.expressions,
            subjects=subjects,
        )
        split_of = {name: split for split, names in subjects.items() for name in names}
        indices: dict[str, list[int]] = {split: [] for split in subjects}
        for index, frame in enumerate(store.kept):
            indices[frame.split or split_of[frame.subject]].append(index)
        return {split: self._generate_examples(store, indices[split]) for split in indices}

    def _cut(self, frames: Sequence[Frame], store: FaceStore) -> None:
        make_cut = self._cutter()
        if self._beam and any(self._beam):
            from tfface.data.datasets.spreading import cut_frames_on_beam

            options, runner = self._beam
            cut_frames_on_beam(
                frames, make_cut, store, folder=self.data_path, options=options, runner=runner
            )
        else:
            title = f"{self.name}/{self.builder_config_name}: pictures"
            cut_frames(frames, make_cut(), store, workers=self.workers, description=title)

    def _cutter(self) -> Callable[[], Cut]:
        """What makes the cutter of a worker; it must survive being sent to one."""
        if self.WHOLE_PICTURES:
            return PictureKeeper
        config = self.builder_config
        self._report.entries["detector"] = config.detector
        make_detector = functools.partial(create_detector, config.detector, config.detector_model)
        return functools.partial(FaceCutter, make_detector)

    def _generate_examples(self, store: FaceStore, indices: Sequence[int]):
        return self.counted((store.kept[index].key, store.record(index)) for index in indices)


def _subjects_of_splits(frames: Sequence[Frame]) -> dict[str, list[str]]:
    """{split: [subjects]}: the set's own splits where its frames name them, else by subject."""
    if frames[0].split is None:
        return deal_subjects(frame.subject for frame in frames)
    splits: dict[str, set[str]] = collections.defaultdict(set)
    for frame in frames:
        splits[frame.split] |= {frame.subject} - {""}  # "" is nobody known
    return {split: sorted(splits[split]) for split in sorted(splits)}
