import pytest

from tfface.data.datasets.base import PhotoConfig, deal_subjects


def test_up_to_150_subjects_have_a_split_each():
    subjects = [f"S{number:03d}" for number in range(150)]
    splits = deal_subjects(reversed(subjects))
    assert list(splits) == [f"subject_{name}" for name in subjects]
    assert splits["subject_S007"] == ["S007"]


def test_above_150_subjects_are_dealt_into_50_groups():
    subjects = [f"S{number:03d}" for number in range(151)]
    splits = deal_subjects(subjects)
    assert list(splits) == [f"group_{number:02d}" for number in range(50)]
    assert splits["group_00"] == ["S000", "S050", "S100", "S150"]
    assert splits["group_49"] == ["S049", "S099", "S149"]
    assert sorted(name for names in splits.values() for name in names) == subjects


def test_ids_that_become_alike_keep_apart():
    assert deal_subjects(["a-b", "a b", "A_b", "é"]) == {
        "subject_A_b": ["A_b"],
        "subject_a_b_2": ["a b"],
        "subject_a_b_3": ["a-b"],
        "subject__": ["é"],
    }


def test_a_subject_counts_once():
    assert deal_subjects(["x", "x"]) == {"subject_x": ["x"]}


def test_config_rules():
    with pytest.raises(ValueError, match=r"`detector` must be one of mtcnn, yunet.*'haar'"):
        PhotoConfig(name="a", detector="haar")
    with pytest.raises(ValueError, match=r"config name must consist of.*'a/b'"):
        PhotoConfig(name="a/b")
