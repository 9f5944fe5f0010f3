"""What the README promises: its Python runs as it stands, and its flags are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfface.recognition.networks import ActionUnitRecognizer
from tfface.restoration.networks import RestorationGenerator
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.recognition import recognition_servable
from tfface.serving.signatures.restoration import restoration_servable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FLAG = r"--[a-z][a-z_-]*"


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    """In a process of its own, where nothing is imported but what the example imports."""
    generator = RestorationGenerator(filters=2, blocks=1)
    (tmp_path / "runs/quickstart/restoration").mkdir(parents=True)
    generator.save(tmp_path / "runs/quickstart/restoration/generator.keras")
    export_savedmodel(restoration_servable(generator), tmp_path / "savedmodels/restoration")
    recognizer = ActionUnitRecognizer([6, 12], size=16, backbone="fer_net")
    export_savedmodel(recognition_servable(recognizer), tmp_path / "savedmodels/recognition")
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    program = (
        "import numpy as np\n"
        "photo = np.full((60, 80, 3), 128, np.uint8)\n"
        f"{example}\n"
        "assert result.photo.shape == photo.shape and result.faces == seen.faces == ()\n"
        "assert recognize.action_units == (6, 12)\n"
        "assert generator.output_shape == (None, 128, 128, 3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_every_flag_of_the_commands_is_there(capsys):
    from tfface.cli import main

    known = ""
    for verb in ("restore", "recognize", "magnify", "regenerate", "edit", "prepare"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        known += capsys.readouterr().out
    commands = re.findall(r"bin/tfface .*", README)
    named = re.findall(FLAG, " ".join(commands)) + re.findall(r"--detector[a-z_-]*", README)
    assert {"--manual_dir", "--detector"} < set(named) <= set(re.findall(FLAG, known))
