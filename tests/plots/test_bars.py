import pytest

from tfface.plots.bars import label_distribution, score_bars

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
        assert bars == {"present": [2, 0, 0], "absent": [1, 4, 0], "not coded": [1, 0, 4]}
        names = [text.get_text() for text in training.get_xticklabels()]
        assert names == ["AU1\n67%", "AU12\n0%", "AU26\n-"]
        assert [c.get_label() for c in test.containers] == ["present", "absent"]
        legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
        assert legend == ["present", "absent", "not coded"]
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
