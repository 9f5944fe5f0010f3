import itertools

import pytest

from tfface.plots.bars import label_distribution, paired_bars, score_bars

NAN = float("nan")


class TestLabelDistribution:
    def test_counts_and_shares(self, tmp_path, figures):
        labels = {
            "training": [[1, 0, NAN], [1, 0, NAN], [0, 0, NAN], [NAN, 0, NAN]],
            "test": [[1, 1, 1]],
        }
        label_distribution(labels, [1, 12, 26], tmp_path / "labels.png")
        training, test = figures[0].axes
        bars = {c.get_label(): [bar.get_height() for bar in c] for c in training.containers}
        assert bars == {"present": [2, 0, 0], "absent": [1, 4, 0], "no label": [1, 0, 4]}
        names = [text.get_text() for text in training.get_xticklabels()]
        assert names == ["AU1\n67%", "AU12\n0%", "AU26\n-"]
        assert [c.get_label() for c in test.containers] == ["present", "absent"]
        legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
        assert legend == ["present", "absent", "no label"]
        assert (tmp_path / "labels.png").stat().st_size > 0

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"'test' must have shape \(n, 2\).*\(1, 3\)"):
            label_distribution({"test": [[1, 0, 1]]}, [1, 2], tmp_path / "labels.png")
        with pytest.raises(ValueError, match="at least one set"):
            label_distribution({}, [1, 2], tmp_path / "labels.png")


class TestScoreBars:
    def test_bars_and_averages(self, tmp_path, figures):
        series = {"SRGAN": [0.25, NAN, 0.5], "Ours": [0.5, 0.25, 0.75]}
        score_bars(["AU1", "AU2", "AU4"], series, tmp_path / "s.png", title="F1", y_label="F1")
        axes = figures[0].axes[0]
        bars = {c.get_label(): [bar.get_height() for bar in c] for c in axes.containers}
        assert bars == {"SRGAN": [0.25, 0, 0.5, 0.375], "Ours": [0.5, 0.25, 0.75, 0.5]}
        assert [text.get_text() for text in axes.texts] == ["0.375", "0.5"]
        assert axes.get_ylim() == (0, 1)

    def test_scores_beyond_one_and_none_at_all(self, tmp_path, figures):
        score_bars(["a"], {"dB": [27.0]}, tmp_path / "s.png")
        assert figures[0].axes[0].get_ylim()[1] > 27
        score_bars(["a"], {"F1": [NAN]}, tmp_path / "s.png")
        assert not figures[1].axes[0].texts

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"hold 2 numbers.*\(3,\)"):
            score_bars(["a", "b"], {"x": [1, 2, 3]}, tmp_path / "s.png")


class TestPairedBars:
    def test_axis_ends_above_the_highest(self, tmp_path, figures):
        series = {"Ours": [0.25, NAN, 0.03125], "O-wlc": [0.125, 0.375, 0.0]}
        paired_bars(["AU1", "AU2", "AU4"], series, tmp_path / "p.png", title="Fig. 5")
        axes = figures[0].axes[0]
        bars = {c.get_label(): [bar.get_height() for bar in c] for c in axes.containers}
        assert bars == {"Ours": [0.25, 0, 0.03125], "O-wlc": [0.125, 0.375, 0]}
        assert [text.get_text() for text in axes.get_xticklabels()] == ["AU1", "AU2", "AU4"]
        bottom, top = axes.get_ylim()
        assert bottom == 0 and 0.375 < top < 0.5
        assert not axes.texts

    def test_average_is_of_what_is_known(self, tmp_path, figures):
        series = {"Ours": [0.25, NAN, 0.5], "O-wlc": [NAN, NAN, NAN]}
        paired_bars(["AU1", "AU2", "AU4"], series, tmp_path / "p.png", average=True)
        axes = figures[0].axes[0]
        assert axes.get_xticklabels()[-1].get_text() == "average"
        assert [c[-1].get_height() for c in axes.containers] == [0.375, 0]
        (value,) = axes.texts
        assert value.get_text() == "0.375"
        assert value.xy == (3 - 0.2, 0.375)  # two bars share 0.8 around position 3

    @pytest.mark.parametrize("methods", [1, 2, 3])
    def test_names_do_not_meet(self, methods, tmp_path, figures):
        labels = [f"AU{number}" for number in range(10, 36)]
        series = {str(i): [0.5] * 26 for i in range(methods)}
        paired_bars(labels, series, tmp_path / "p.png", average=True)
        boxes = [text.get_window_extent() for text in figures[0].axes[0].get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"`series`.*hold 2 numbers.*\(3,\)"):
            paired_bars(["a", "b"], {"x": [1, 2, 3]}, tmp_path / "p.png")
        with pytest.raises(ValueError, match=r"`series`, at least one"):
            paired_bars(["a", "b"], {}, tmp_path / "p.png")
        assert not list(tmp_path.iterdir())
