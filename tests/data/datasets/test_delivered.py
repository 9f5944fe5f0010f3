import numpy as np
import pytest

from tfface.data.datasets.delivered import (
    TextLandmarks,
    digest,
    missing_subjects,
    phases,
    ranges,
    read_numbers,
    visible,
)
from tfface.data.datasets.problems import Problems, named


def test_numbers_of_any_notation(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff   1.0e+01   2\n\n3 4.5\n", encoding="utf-8")
    assert read_numbers(tmp_path / "a.txt") == [[10, 2], [3, 4.5]]
    (tmp_path / "b.csv").write_text("1,2\n3, 4\n")
    assert read_numbers(tmp_path / "b.csv", ",") == [[1, 2], [3, 4]]


def test_what_is_no_number_is_named_by_line(tmp_path):
    (tmp_path / "a.txt").write_text("1 2\n\n3 x\n")
    with pytest.raises(ValueError, match=r"a\.txt: line 3: must be numbers. Received: '3 x'"):
        read_numbers(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe1 2")
    with pytest.raises(ValueError, match=r"b\.txt: cannot be read"):
        read_numbers(tmp_path / "b.txt")
    with pytest.raises(ValueError, match=r"c\.txt: cannot be read"):
        read_numbers(tmp_path / "c.txt")


def test_landmarks_are_read_when_called(tmp_path):
    landmarks = TextLandmarks(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("".join(f"{n} {2 * n}\n" for n in range(68)))
    np.testing.assert_array_equal(landmarks()[67], [67, 134])
    (tmp_path / "a.txt").write_text("1 2 3\n" * 68)
    with pytest.raises(ValueError, match="must hold 68 lines of x and y"):
        landmarks()


def test_phases_run_from_neutral_to_peak():
    assert phases(5) == [0, 0.25, 0.5, 0.75, 1]
    assert phases(1) == [1]


def test_gaps_are_told_as_ranges():
    assert ranges([7, 3, 5, 4, 10]) == "3-5, 7, 10"
    published = ["F001", "F002", "F003", "M001", "M002"]
    assert missing_subjects(["F002"], published) == ["subjects missing: F001, F003, M001-M002"]
    assert missing_subjects(published, published) == []


def test_hidden_files_are_passed_over(tmp_path):
    for name in ("b", ".DS_Store", "a"):
        (tmp_path / name).touch()
    assert [path.name for path in visible(tmp_path)] == ["a", "b"]


def test_a_digest_shows_changed_names_and_contents(tmp_path):
    (tmp_path / "one.txt").write_text("1")
    first = digest(tmp_path, "*.txt"), digest(tmp_path, "*.txt", content=False)
    (tmp_path / "one.txt").write_text("2")
    second = digest(tmp_path, "*.txt"), digest(tmp_path, "*.txt", content=False)
    assert first[0] != second[0]
    assert first[1] == second[1]
    (tmp_path / "one.txt").rename(tmp_path / "two.txt")
    assert digest(tmp_path, "*.txt", content=False) != second[1]


def test_problems_are_told_together_and_cut_short():
    problems = Problems("set")
    problems.raise_all()
    problems.add("must be a.", "file")
    problems.include(ValueError("x: one\ny: two"))
    with pytest.raises(ValueError, match="^file: must be a.\nx: one\ny: two$"):
        problems.raise_all()
    for _ in range(30):
        problems.add("must be b.")
    with pytest.raises(ValueError, match="set: and 13 problems more.$"):
        problems.raise_all()


def test_names_are_cut_short():
    assert named([]) == "none"
    assert named(range(10), most=3) == "0, 1, 2 and 7 more"
