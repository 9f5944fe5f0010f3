"""Every exported model in a process that has TensorFlow, but neither tfface nor Keras."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tfface.serving.systems import NETWORKS

ALONE = """
import runpy, sys
sys.modules["tfface"] = sys.modules["keras"] = None  # an import of either fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_every_system_is_served(exported_models, tmp_path, picture):
    """`alone.py` says what is checked."""
    files = []
    for i, (height, width) in enumerate([(40, 50), (130, 90), (200, 200)]):
        files.append(tmp_path / f"{i}.{'png' if i == 1 else 'jpg'}")
        Image.fromarray(picture(i, height, width)).save(files[-1])
    program = Path(__file__).with_name("alone.py")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, program, exported_models, *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == sorted(NETWORKS)
