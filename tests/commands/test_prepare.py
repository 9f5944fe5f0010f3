"""`tfface prepare` on a delivered set: the look, the build, the charts, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.layouts import bp4d
from tfface.cli import main
from tfface.commands import prepare as command
from tfface.data.datasets.bp4d import delivery


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    bp4d.make(folder, subjects=("F001", "M002"), tasks=("T1",), frames=2)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "BP4D")
    return tmp_path / "BP4D"


def one_error_line(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_look_says_what_is_there_and_what_is_missing(folder, capsys):
    picture = folder / "Sequences(2D+3D)/M002/T1/2440.jpg"
    picture.write_bytes(picture.read_bytes()[:600])
    assert main(["prepare", "bp4d", "--check", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    # Of each subject's two coded pictures one has the code 9 alone, and one more is not coded.
    assert lines[0] == (
        "bp4d: 2 subjects, 2 sequences, 2 pictures to take faces from, 2 of them with landmarks; "
        "4 pictures without labels are left out"
    )
    assert lines[1] == "bp4d: 2 pictures opened, 1 unreadable"
    assert "bp4d: M002_T8: no pictures in Sequences(2D+3D)/M002/T8 and no table" in lines[-4]
    assert "bp4d: subjects missing: F002-F023, M001, M003-M018" in lines[-3]
    assert "2440.jpg: cannot be read as a picture" in lines[-2]
    assert lines[-1] == "bp4d: see the lines above"
    assert not (folder.parent / "data").exists()


def test_a_look_at_a_whole_set(made, folder, monkeypatch, capsys):
    monkeypatch.setattr(delivery, "TASKS", ("T1",))
    for subject in delivery.SUBJECTS:
        bp4d_task(made, folder, subject, "T1")
    assert main(["prepare", "bp4d", "--check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bp4d: 41 subjects, 41 sequences, 41 pictures to take faces from")
    assert lines[1:] == [
        "bp4d: 41 pictures opened, 0 unreadable",
        "bp4d: nothing is missing",
    ]


def bp4d_task(made, folder, subject, task):
    """The files of one task under the name of another."""
    place = folder / f"Sequences(2D+3D)/{subject}/{task}"
    if not place.exists():
        shutil.copytree(made / "Sequences(2D+3D)/F001/T1", place)
    for kind, ending in (("2DFeatures", ".mat"), ("AUCoding/AU_OCC", ".csv")):
        _copy(made / f"{kind}/F001_T1{ending}", folder / f"{kind}/{subject}_{task}{ending}")
    for unit in bp4d.INTENSITIES:
        table = f"AUCoding/AU_INT/AU{unit:02d}/%s_%s_AU{unit:02d}.csv"
        _copy(made / (table % ("F001", "T1")), folder / (table % (subject, task)))


def _copy(old, new):
    if not new.exists():
        shutil.copy(old, new)


def test_a_build_ends_with_a_report_and_its_chart(folder, tmp_path, capsys):
    arguments = ["prepare", "bp4d", "--manual_dir", str(folder), "--data_dir", str(tmp_path / "d")]
    assert main([*arguments, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "bp4d/default: 2 pictures read, 2 faces kept, 0 without a face, 0 unreadable" in out
    assert "bp4d/default: the set is not whole, see `missing` in the report" in out
    place = tmp_path / "d/bp4d/default/1.0.0"
    report = json.loads((place / "report.json").read_text())
    assert report["without_labels"] == {"F001_T1": 2, "M002_T1": 2}
    assert sum(report["action_units"]["12"].values()) == 2
    with Image.open(place / "action_units.png") as chart:
        assert np.asarray(chart.convert("RGB")).std() > 10
    assert not (place / "expressions.png").exists()  # BP4D has none

    (place / "action_units.png").unlink()
    assert main(arguments) == 0  # prepared already: only the chart is drawn
    assert (place / "action_units.png").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--check absent", "--check absent: no such folder"),
        ("--check . --manual_dir .", "--check DIR and --manual_dir DIR: give one of them"),
        ("--manual_dir . --workers 0", "--workers 0: must be at least 1"),
        (
            "--manual_dir . --workers 2 --beam_pipeline_options runner=DirectRunner",
            "the runner has workers of its own",
        ),
        ("--check . --name other", "`config_name` must be one of default. Received: 'other'"),
        ("", "`manual_dir` must name the folder of 'bp4d' as it was delivered"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["prepare", "bp4d", *arguments.split()]) == 2
    assert line in one_error_line(capsys)


def test_a_wrong_folder_is_one_line(folder, capsys):
    for option in ("--check", "--manual_dir"):
        assert main(["prepare", "bp4d", option, str(folder / "AUCoding")]) == 1
        assert "must hold Sequences(2D+3D) or 2D, AUCoding/AU_OCC." in one_error_line(capsys)


def test_there_is_nothing_to_look_at_in_a_set_made_on_the_spot(folder, capsys):
    assert main(["prepare", "synthetic_faces", "--check", str(folder)]) == 2
    assert "'synthetic_faces' is made on the spot: there is nothing to check" in one_error_line(
        capsys
    )


def test_both_kinds_of_charts(tmp_path):
    report = {
        "directory": str(tmp_path),
        "dataset": "ck_plus",
        "config": "default",
        "action_units": {
            "1": {"present": 30, "absent": 50, "unknown": 20},
            "12": {"present": 10, "absent": 90, "unknown": 0},
        },
        "expressions": {"anger": 40, "fear": 0, "not labeled": 60},
    }
    command._draw(report)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "action_units.png",
        "expressions.png",
    ]
