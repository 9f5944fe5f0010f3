import numpy as np
import pytest

from tfface.plots.matrices import confusion_matrix


class TestConfusionMatrix:
    def test_rows_are_shares_of_the_true_class(self, tmp_path, figures):
        path = tmp_path / "c.png"
        confusion_matrix([[3, 1], [0, 0]], ["anger", "fear"], path, title="CK+")
        axes = figures[0].axes[0]
        np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
        assert [t.get_text() for t in axes.texts] == ["75%\n(3)", "25%\n(1)", "-", "-"]
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"\(3, 3\) for 3 class names.*\(2, 2\)"):
            confusion_matrix(np.zeros((2, 2)), ["a", "b", "c"], tmp_path / "c.png")
