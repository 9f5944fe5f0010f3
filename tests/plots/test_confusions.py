import csv

from PIL import Image

from tfface.confusion import Confusion
from tfface.plots.confusions import write_confusion


def test_a_confusion_becomes_a_table_and_a_picture(tmp_path):
    confusion = Confusion(("anger", "joy", "awe"), [[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    write_confusion(tmp_path / "c_v1.5", confusion, "Title", "made for")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "c_v1.5.csv",
        "c_v1.5.md",
        "c_v1.5.png",
    ]
    with (tmp_path / "c_v1.5.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["made for (%)", "anger", "joy", "awe", "faces"],
            ["anger", "75.0", "25.0", "0.0", "4"],
            ["joy", "0.0", "100.0", "0.0", "2"],
            ["awe", "-", "-", "-", "0"],
        ]
    with Image.open(tmp_path / "c_v1.5.png") as picture:
        assert min(picture.size) > 300
