import pytest

from tfface.plots import canvas


@pytest.fixture
def figures(monkeypatch):
    """The figures drawn, for a look at what they hold."""
    drawn = []
    write = canvas.write
    monkeypatch.setattr(canvas, "write", lambda f, path: (drawn.append(f), write(f, path)))
    return drawn
