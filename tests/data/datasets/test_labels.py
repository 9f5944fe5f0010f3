import numpy as np
import pytest

from tfface.data.datasets.image_folder.labels import read_labels


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, text, **options):
    (folder / "labels.csv").write_text(text, **options)
    return read_labels(folder)


def problems(folder, text):
    with pytest.raises(ValueError) as error:
        read(folder, text)
    lines = str(error.value).split("\n")
    assert all(line.startswith(f"{folder / 'labels.csv'}: ") for line in lines)
    return [line.removeprefix(f"{folder / 'labels.csv'}: ") for line in lines]


def test_path_and_subject_are_enough(folder):
    labels = read(folder, "path,subject\na.jpg,Ann\nb.jpg,Bob\n")
    assert labels.action_units == ()
    assert labels.expressions == ()
    first = labels.frames[0]
    assert (first.key, first.photo, first.subject) == ("a.jpg", folder / "a.jpg", "Ann")
    assert (first.sequence, first.frame, first.expression) == ("a.jpg", 0, -1)
    assert first.au.shape == first.au_intensity.shape == (0,)
    assert np.isnan(first.phase)
    assert first.landmarks is None
    assert first.split is None


def test_all_columns(folder):
    points = ",".join([f"x_{i}" for i in range(68)] + [f"y_{i}" for i in range(68)])
    values = ",".join([str(i + 0.5) for i in range(68)] + [str(2 * i) for i in range(68)])
    labels = read(
        folder,
        f"path,subject,sequence,frame,phase,expression,AU12_c,AU04_r,AU04_c,AU28_c,split,{points}\n"
        f"a.jpg,Ann,T1,17,0.5,Sadness,1,2.25,0,,train,{values}\n"
        f"b.jpg,Bob,T1,18,,happiness,0,,1,1.0,test,{',' * 135}\n",
    )
    assert labels.action_units == (4, 12, 28)
    assert labels.expressions == ("happiness", "sadness")
    first, second = labels.frames
    np.testing.assert_array_equal(first.au, [0, 1, np.nan])
    np.testing.assert_array_equal(first.au_intensity, [2.25, np.nan, np.nan])
    np.testing.assert_array_equal(second.au, [1, 0, 1])
    assert (first.sequence, first.frame, first.phase, first.split) == ("T1", 17, 0.5, "train")
    assert (first.expression, second.expression) == (1, 0)
    np.testing.assert_array_equal(first.landmarks[3], [3.5, 6])
    assert second.landmarks is None


def test_openface_blanks_foreign_columns_and_byte_order_mark(folder):
    labels = read(
        folder,
        "path, subject, frame, confidence, AU01_r, X_0, pose_Tx\na.jpg, Ann, 1, 0.98, 0.50, 1, 2\n",
        encoding="utf-8-sig",
    )
    assert labels.action_units == (1,)
    assert labels.frames[0].subject == "Ann"
    np.testing.assert_array_equal(labels.frames[0].au_intensity, [0.5])
    np.testing.assert_array_equal(labels.frames[0].au, [np.nan])  # presence is not guessed


def test_frames_of_a_sequence_are_numbered_where_the_file_does_not(folder):
    labels = read(folder, "path,subject,sequence\na.jpg,A,s\nb.jpg,A,s\nc.jpg,A,t\n")
    assert [frame.frame for frame in labels.frames] == [0, 1, 0]


def test_some_landmarks_may_be_unknown(folder):
    points = ",".join(f"x_{i},y_{i}" for i in range(68))
    labels = read(folder, f"path,subject,{points}\na.jpg,A{',,' * 17}{',1,2' * 51}\n")
    assert np.isnan(labels.frames[0].landmarks[:17]).all()
    np.testing.assert_array_equal(labels.frames[0].landmarks[17:], [[1, 2]] * 51)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,person\na.jpg,A\n", "header: column 'subject' is missing. Received: path, person."),
        ("path,subject\nx.jpg,A\n", "line 2, column path: must be a file. Received: 'x.jpg'"),
        ("path,subject\n../a.jpg,A\n", "line 2, column path: must be a path inside"),
        ("path,subject\n/etc/passwd,A\n", "line 2, column path: must be a path inside"),
        ("path,subject\n,A\n", "line 2, column path: must be a path inside"),
        ("path,subject\na.jpg,\n", "line 2, column subject: must not be empty."),
        ("path,subject\na.jpg,A\na.jpg,A\n", "line 3, column path: must stand once"),
        ("path,subject\na.jpg,A\na.jpg,B\n", "line 3, column path: must stand once"),
        ("path,subject\na.jpg,A\n./a.jpg,A\n", "line 3, column path: must stand once"),
        (f"path,subject\n{'x' * 300},A\n", "line 2, column path: must be a file."),
        ("path,subject\na.jpg,A\0\n", "line 2: must be text. Received: a NUL character."),
        ("path,subject,au01_c\na.jpg,A,1\n", "must be AU<number>_c or _r. Received: 'au01_c'."),
        ("path,subject\na.jpg,A,7\n", "line 2: must have 2 cells, as the header. Received: 3."),
        ("path,subject,subject\na.jpg,A,A\n", "header: column 'subject' must stand once"),
        ("path,subject,AU01_c\na.jpg,A,2\n", "line 2, column AU01_c: must be 1, 0 or empty."),
        ("path,subject,AU01_c\na.jpg,A,yes\n", "line 2, column AU01_c: must be 1, 0 or empty."),
        ("path,subject,AU01_r\na.jpg,A,5.1\n", "line 2, column AU01_r: must be 0 to 5 or empty."),
        ("path,subject,AU01_r\na.jpg,A,-1\n", "line 2, column AU01_r: must be 0 to 5 or empty."),
        ("path,subject,AU01_r\na.jpg,A,nan\n", "line 2, column AU01_r: must be 0 to 5 or empty."),
        ("path,subject,AU1_c,AU01_c\na.jpg,A,1,1\n", "columns AU1_c and AU01_c are the same"),
        ("path,subject,phase\na.jpg,A,1.5\n", "line 2, column phase: must be 0 to 1 or empty."),
        ("path,subject,frame\na.jpg,A,-3\n", "line 2, column frame: must be a whole number"),
        ("path,subject,x_0,y_0\na.jpg,A,1,1\n", "header: landmarks need all of x_0 ... x_67"),
        ("path,subject,split\na.jpg,A,dev\n", "line 2, column split: must be one of train, "),
        ('path,subject\n"a.jpg,A\n', "must be CSV"),
        ("path,subject\n", "must have a header and at least one row"),
        ("", "must have a header and at least one row"),
    ],
)
def test_each_problem_is_one_line_with_place_and_rule(folder, text, expected):
    found = problems(folder, text)
    assert len(found) == 1
    assert expected in found[0]


def test_a_subject_in_two_splits(folder):
    found = problems(folder, "path,subject,split\na.jpg,A,train\nb.jpg,B,test\nc.jpg,A,test\n")
    assert found == [
        "line 4, column split: a subject must stand in one split. "
        "Received: 'A' in 'test', and on line 2 in 'train'."
    ]


def test_all_problems_are_told_at_once(folder):
    found = problems(folder, "path,subject,AU01_c\nx.jpg,A,7\nb.jpg,,1\n")
    assert [line.split(":")[0] for line in found] == [
        "line 2, column path",
        "line 2, column AU01_c",
        "line 3, column subject",
    ]


def test_a_mistake_on_every_line_is_cut_short(folder):
    found = problems(folder, "path,subject\n" + "".join(f"{i}.jpg,A\n" for i in range(50)))
    assert len(found) == 21
    assert found[-1] == "and 30 problems more."


def test_line_numbers_count_blank_and_quoted_lines(folder):
    found = problems(folder, 'path,subject,note\na.jpg,A,"two\nlines"\n\nx.jpg,B,\n')
    assert found[0].startswith("line 5, column path")


def test_not_utf8(folder):
    (folder / "labels.csv").write_bytes("path,subject\na.jpg,Jörg\n".encode("latin-1"))
    with pytest.raises(ValueError, match="must be UTF-8"):
        read_labels(folder)


def test_no_labels_file(tmp_path):
    with pytest.raises(ValueError, match=r"labels\.csv: must be a file. Received: no such"):
        read_labels(tmp_path)
