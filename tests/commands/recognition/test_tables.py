from tfface.commands.recognition.summary import VideoSummary
from tfface.commands.recognition.tables import photo_table, video_table
from tfface.facs.action_units import ACTION_UNITS, BP4D_AUS


def test_twelve_action_units_fit_a_hundred_columns(frame):
    large = (12345.0, 10234.0, 1999.0, 1888.0)
    lines = photo_table(frame(0, {0: [0.999] * 12, 1: [0.004] * 12}, large), BP4D_AUS, 0.5)
    assert lines == [
        "face                   box AU01  AU02  AU04  AU06  AU07  AU10  AU12  AU14  AU15  AU17  "
        "AU23  AU24",
        "   0 12345,10234 1999x1888 " + " ".join(["1.00*"] * 12),
        "   1 12345,10234 1999x1888 " + "  ".join(["0.00"] * 12),
    ]
    assert max(map(len, lines)) <= 100
    summary = VideoSummary(12, 0.5)
    for i in range(3):
        summary.add(frame(i, {0: [0.999] * 12}))
    (face,) = summary.longest(1)
    face.frames = 10**6 - 1  # eleven hours
    assert max(map(len, video_table(summary, 25.0, BP4D_AUS))) <= 100


def test_more_action_units_go_on_below(frame):
    every = tuple(ACTION_UNITS)  # 26
    probabilities = [number / 100 for number in every]
    lines = photo_table(frame(0, {0: probabilities, 1: probabilities}), every, 0.25)
    assert len(lines) == 6 and max(map(len, lines)) <= 100
    assert all(line.startswith(("face ", "   0 ", "   1 ")) for line in lines)
    names = [name for line in lines[::3] for name in line.split()[2:]]
    assert names == [f"AU{number:02d}" for number in every]
    cells = [cell for line in lines[1::3] for cell in line.split()[3:]]
    assert cells == [f"{number / 100:.2f}{'*' * (number >= 25)}" for number in every]
    assert len(lines[0].split()) - len(lines[3].split()) in (0, 1)  # blocks of like width


def test_of_a_crowd_those_seen_longest_are_shown(frame):
    summary = VideoSummary(1, 0.5)
    for i in range(40):
        summary.add(frame(i, {face_id: (0.2 + 0.02 * i,) for face_id in range(12) if i >= face_id}))
    lines = video_table(summary, 10.0, (9,))
    assert lines[0] == "face frames seconds         AU09"
    assert lines[1:3] == ["   0     40     4.0 present  62%", "                       mean 0.59"]
    assert [line.split()[0] for line in lines[1:-1:2]] == [str(i) for i in range(10)]
    assert lines[-1] == "and 2 more faces, seen for less time"


def test_without_a_face_there_is_no_table(frame):
    assert photo_table(frame(0, {}), BP4D_AUS, 0.5) == []
    summary = VideoSummary(12, 0.5)
    summary.add(frame(0, {}))
    assert video_table(summary, 25.0, BP4D_AUS) == []
