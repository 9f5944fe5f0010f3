"""Tables as text and as files."""

import csv

import pytest

from tfface.tables import markdown, write_table


def test_columns_line_up():
    assert markdown(["AU", "F1 Ours"], [["1", 0.5], [12, "-"]]) == [
        "| AU | F1 Ours |",
        "|----|---------|",
        "| 1  | 0.5     |",
        "| 12 | -       |",
    ]


def test_a_table_without_rows_has_its_header():
    assert markdown(["AU"], []) == ["| AU |", "|----|"]


def test_a_bar_in_a_cell_divides_no_columns():
    assert markdown(["P(i|j)"], [["a|b"]]) == [r"| P(i\|j) |", "|---------|", r"| a\|b    |"]


def test_both_files_hold_the_same_cells(tmp_path):
    rows = [["a, b", "1|2"], ['"c"', 3]]
    write_table(tmp_path / "new" / "v1.5", ["name", "figure"], rows)
    with (tmp_path / "new" / "v1.5.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "figure"], ["a, b", "1|2"], ['"c"', "3"]]
    assert (tmp_path / "new" / "v1.5.md").read_text() == (
        '| name | figure |\n|------|--------|\n| a, b | 1\\|2   |\n| "c"  | 3      |\n'
    )
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_rows_must_fill_the_columns(tmp_path):
    with pytest.raises(ValueError, match="a cell for each of 2 columns. Received: 1 cells in"):
        write_table(tmp_path / "table", ["AU", "F1"], [["1", "0.5"], ["2"]])
    assert not list(tmp_path.iterdir())
