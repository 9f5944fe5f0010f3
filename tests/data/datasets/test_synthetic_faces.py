import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfface.data.datasets import prepare as prepare_module
from tfface.data.datasets.synthetic_faces.synthetic_faces_dataset_builder import (
    Builder,
    SyntheticConfig,
)
from tfface.data.schema import check
from tfface.data.synthetic import frames
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS


def build(folder, **options):
    builder = Builder(data_dir=folder, config=SyntheticConfig(name="tiny", **options))
    builder.download_and_prepare()
    return tfds.builder_from_directory(builder.data_path)


def records(builder, split):
    found = tfds.as_numpy(builder.as_dataset(split=split))
    return sorted(found, key=lambda record: (record["sequence"], record["frame"]))


def test_frames_arrive_as_they_were_drawn(tmp_path):
    builder = build(tmp_path, subjects=2, frames_per_subject=3, seed=5)
    metadata = builder.info.metadata
    assert metadata["action_units"] == list(BP4D_AUS)
    assert metadata["expressions"] == []
    assert metadata["subjects"] == {"subject_S001": ["S001"], "subject_S002": ["S002"]}
    stored = records(builder, "subject_S002")
    drawn = sorted(
        frames(5, "S002", 3, 200, action_units=BP4D_AUS),
        key=lambda record: (record["sequence"], record["frame"]),
    )
    assert len(stored) == 3
    for one, other in zip(stored, drawn, strict=True):
        assert one["subject"].decode() == "S002"
        assert one["sequence"].decode() == other["sequence"]
        for key in ("image", "landmarks", "frame", "au", "au_intensity", "expression", "phase"):
            np.testing.assert_array_equal(one[key], other[key])
        check({**one, "subject": "S002", "sequence": ""}, len(BP4D_AUS))


def test_posed_sequences_carry_expression_and_phase(tmp_path):
    builder = build(tmp_path, subjects=1)
    assert builder.info.metadata["expressions"] == list(CK_PLUS_EXPRESSIONS)
    stored = records(builder, "subject_S001")
    assert len(stored) == 84
    assert sorted({int(record["expression"]) for record in stored}) == list(range(7))
    assert {float(stored[0]["phase"]), float(stored[11]["phase"])} == {0.0, 1.0}
    report = json.loads((builder.data_path / "report.json").read_text())
    assert report["kept"] == 84
    assert report["expressions"] == {**dict.fromkeys(CK_PLUS_EXPRESSIONS, 12), "not labeled": 0}
    presence = np.stack([record["au"] for record in stored])
    numbers = builder.info.metadata["action_units"]
    assert report["action_units"]["12"]["present"] == presence[:, numbers.index(12)].sum() > 0


def test_some_frames_of_a_sequence_look_as_they_do_among_all(tmp_path):
    few = records(build(tmp_path / "few", subjects=1, shown=(0, 5, 11)), "subject_S001")
    every = records(build(tmp_path / "every", subjects=1), "subject_S001")
    chosen = [record for record in every if record["phase"] * 11 in (0, 5, 11)]
    assert [record["frame"] for record in few] == [record["frame"] for record in chosen]
    assert len(few) == 21
    for one, other in zip(few, chosen, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    files = []
    for name in ("a", "b"):
        folder = build(tmp_path / name, subjects=1, frames_per_subject=2).data_path
        files.append([path.read_bytes() for path in sorted(folder.glob("*.tfrecord*"))])
    assert files[0] == files[1]
    assert files[0]


def test_config_rules():
    with pytest.raises(ValueError, match="`subjects` must be at least 1. Received: 0"):
        SyntheticConfig(name="none", subjects=0)
    for shown in ((), (5, 0), (0, 12), (1, 1)):
        with pytest.raises(ValueError, match="`shown` must be ascending frames from 0 to 11"):
            SyntheticConfig(name="odd", shown=shown)
    with pytest.raises(ValueError, match="`config_name` must be one of frames_small, .*'huge'"):
        prepare_module.prepare("synthetic_faces", config_name="huge")
    with pytest.raises(ValueError, match="`manual_dir` must be None for 'synthetic_faces'"):
        prepare_module.prepare("synthetic_faces", manual_dir="/tmp")


def test_prepare_builds_a_declared_config(tmp_path, monkeypatch, capsys):
    tiny = [SyntheticConfig(name="tiny_declared", subjects=2, frames_per_subject=1)]
    monkeypatch.setattr(Builder, "BUILDER_CONFIGS", tiny)
    report = prepare_module.prepare("synthetic_faces", data_dir=tmp_path)
    assert (report["config"], report["kept"], report["subjects"]) == ("tiny_declared", 2, 2)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2
    assert out[1].startswith("synthetic_faces/tiny_declared: 2 pictures read, 2 faces kept")
