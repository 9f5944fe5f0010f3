import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.layouts import bp4d, disfa, fer2013, sketchy
from tfface.data.datasets.faces import AlignedFace, FaceStore
from tfface.data.datasets.frames import Frame, VideoPicture
from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.request import RequestError
from tfface.data.datasets.spreading import _groups, _read, _write, beam_options

NO_LABELS = np.zeros(0, np.float32)

ROOT = Path(__file__).parents[3]


def needs_beam():
    """Skips the test where Beam is not installed, as in an environment of requirements.lock."""
    reason = "needs Apache Beam: `make test-tfds` brings it along and runs this test"
    pytest.importorskip("apache_beam", reason=reason)


def records(directory):
    builder = tfds.builder_from_directory(directory)
    splits = sorted(builder.info.splits)
    found = [r for split in splits for r in tfds.as_numpy(builder.as_dataset(split=split))]
    return sorted(found, key=lambda record: (record["sequence"], record["frame"]))


def damage(folder):
    """Breaks a picture, or a line of pixels, of a set that has such files."""
    for file in folder.rglob("*2441.jpg"):
        file.write_bytes(b"\xff\xd8\xff damaged")
    for file in folder.rglob("fer2013.csv"):
        file.write_text(file.read_text().replace(" ", " 999 ", 1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Beam's own, which depends on Beam's version
@pytest.mark.parametrize("layout", [bp4d, disfa, fer2013, sketchy])
def test_the_direct_runner_makes_the_same_set(layout, tmp_path):
    needs_beam()
    name = layout.__name__.rpartition(".")[2]
    layout.make(tmp_path / "in")
    damage(tmp_path / "in")
    plain = prepare(name, tmp_path / "in", tmp_path / "plain")
    spread = prepare(
        *(name, tmp_path / "in", tmp_path / "spread"),
        beam_pipeline_options="runner=DirectRunner,direct_num_workers=1",
    )
    assert len(plain["unreadable"]) == {"bp4d": 4, "fer2013": 1}.get(name, 0)
    for key in set(plain) - {"seconds", "directory"}:
        assert spread[key] == plain[key]
    pairs = zip(records(plain["directory"]), records(spread["directory"]), strict=True)
    for one, other in pairs:
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    left = [path for path in (tmp_path / "spread").rglob("*") if path.name.startswith("faces-")]
    assert left == []


@pytest.mark.slow
def test_the_command_of_tfds_spreads_a_build_over_two_workers(tmp_path):
    needs_beam()
    bp4d.make(tmp_path / "in")
    arguments = [
        *("build", "tfface/data/datasets/bp4d", "--manual_dir", tmp_path / "in"),
        *("--data_dir", tmp_path / "out"),
        *("--beam_pipeline_options", "runner=DirectRunner,direct_num_workers=2"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", *map(str, arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "out/bp4d/default/1.0.0/report.json").read_text())
    assert (report["frames"], report["kept"]) == (10, 10)


def test_without_beam_its_options_are_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apache_beam.options.pipeline_options", None)
    bp4d.make(tmp_path / "in", subjects=("F001",), tasks=("T1",))
    with pytest.raises(RequestError, match=r'need Apache Beam: pip install "tfface\[tfds\]"'):
        prepare(
            "bp4d", tmp_path / "in", tmp_path / "out", beam_pipeline_options="runner=DirectRunner"
        )
    assert not (tmp_path / "out").exists()


def test_sets_made_on_the_spot_have_nothing_to_spread(tmp_path):
    with pytest.raises(RequestError, match=r"must be None for 'synthetic_faces', which is made on"):
        prepare("synthetic_faces", None, tmp_path, beam_pipeline_options="runner=DirectRunner")
    assert list(tmp_path.iterdir()) == []


def test_options_that_are_none():
    needs_beam()
    assert beam_options(None) is None
    with pytest.raises(ValueError, match="must be NAME=VALUE or NAME, separated by commas"):
        beam_options("runner=DirectRunner,,x=1")


def test_a_video_stays_together_and_pictures_are_dealt(tmp_path):
    def frame(number, photo):
        return Frame(str(number), photo, "A", NO_LABELS, NO_LABELS)

    pictures = [frame(number, tmp_path / f"{number}.png") for number in range(70)]
    video = [frame(f"v{number}", VideoPicture(tmp_path / "v.avi", number)) for number in range(90)]
    other = [frame("w", VideoPicture(tmp_path / "w.avi", 0))]
    groups = list(_groups([*pictures, *video, *other]))
    assert [len(group) for group in groups] == [64, 6, 90, 1]
    assert [each for group in groups for each in group] == [*pictures, *video, *other]


def test_what_a_worker_writes_is_what_is_taken_in(tmp_path):
    landmarks = np.arange(136, dtype=np.float32).reshape(68, 2)
    landmarks[:17] = np.nan
    faces = [
        AlignedFace(b"one", landmarks),
        AlignedFace(reason="a line"),
        AlignedFace(reason=""),
        AlignedFace(b"four", None),
    ]
    _write(tmp_path / "000003.npz", faces)
    assert [path.name for path in tmp_path.iterdir()] == ["000003.npz"]
    frames = [Frame(str(n), tmp_path / "x", "A", NO_LABELS, NO_LABELS) for n in range(4)]
    with FaceStore(tmp_path) as store:
        for frame, face in zip(frames, _read(tmp_path / "000003.npz"), strict=True):
            store.add(frame, face)
        assert [frame.key for frame in store.kept] == ["0", "3"]
        assert store.unreadable == [{"frame": "1", "reason": "a line"}]
        assert store.without_face == ["2"]
        first, last = store.record(0), store.record(1)
    assert (first["image"], last["image"]) == (b"one", b"four")
    np.testing.assert_array_equal(first["landmarks"], landmarks)
    assert np.isnan(last["landmarks"]).all()
