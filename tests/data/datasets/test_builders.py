"""Every builder through TFDS's own command, and what a builder's folder must hold."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.layouts import bp4d, bu3dfe, bu4dfe, ck_plus, disfa, fer2013, lsemsw, oulu_casia, sketchy
from tfface.data.datasets.request import available, builder_class_of

ROOT = Path(__file__).parents[3]

# The `tfds` command of 4.9.10 imports apache_beam and mlcroissant even where it uses neither (its
# issue 5463); stand-ins let the command itself be tested without them. One process builds all sets,
# as loading TensorFlow takes longer than that.
TFDS_COMMAND = """
import json, sys
from unittest.mock import MagicMock
for name in ("apache_beam", "mlcroissant"):
    try:
        __import__(name)
    except ImportError:
        module = sys.modules[name] = MagicMock()
        module.DoFn = module.PTransform = object
from tensorflow_datasets.scripts.cli import main
for arguments in json.loads(sys.argv[1]):
    main.main(main._parse_flags(["tfds", "build", *arguments]))
"""


def write_image_folder(folder):
    """One gray picture whose landmarks put a face of 100 pixels right in it."""
    folder.mkdir()
    Image.fromarray(np.full((100, 100, 3), 100, np.uint8)).save(folder / "a.png")
    points = np.full((68, 2), 50.0)
    points[36:42], points[42:48], points[[48, 54]] = (33, 39.5), (66, 39.5), (49.5, 74)
    names = [f"{axis}_{number}" for number in range(68) for axis in "xy"]
    cells = ",".join(str(value) for value in points.ravel())
    (folder / "labels.csv").write_text(f"path,subject,{','.join(names)}\na.png,A,{cells}\n")


DELIVERED = {
    "image_folder": (write_image_folder, "default", {"subject_A": 1}),
    "bp4d": (bp4d.make, "default", {"subject_F001": 5, "subject_M002": 5}),
    "bu3dfe": (partial(bu3dfe.make, subjects=["F0001"]), "default", {"subject_F0001": 25}),
    "bu4dfe": (
        partial(bu4dfe.make, subjects=["F001"], frames=2),
        "default",
        {"subject_F001": 18},
    ),
    "ck_plus": (
        ck_plus.make,
        "default",
        {"subject_S005": 4, "subject_S010": 4, "subject_S506": 4},
    ),
    "disfa": (disfa.make, "default", {"subject_SN001": 4, "subject_SN009": 4}),
    "fer2013": (fer2013.make, "default", {"train": 6, "validation": 3, "test": 3}),
    "lsemsw": (lsemsw.make, "default", lsemsw.SPLITS),
    "oulu_casia": (oulu_casia.make, "vl_strong", {"subject_P001": 12, "subject_P002": 12}),
    "sketchy": (sketchy.make, "paper", {"train": 36, "test": 12}),
}


@pytest.mark.slow
def test_tfds_build_makes_each_set(tmp_path):
    builds = []
    for name, (make, config, _) in DELIVERED.items():
        make(tmp_path / name)
        folders = ["--manual_dir", f"{tmp_path / name}", "--data_dir", f"{tmp_path / 'out'}"]
        builds.append([f"tfface/data/datasets/{name}", "--config", config, *folders])
    done = subprocess.run(
        [sys.executable, "-c", TFDS_COMMAND, json.dumps(builds)],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, (_, config, counts) in DELIVERED.items():
        directory = tmp_path / f"out/{name}/{config}/1.0.0"
        report = json.loads((directory / "report.json").read_text())
        assert report["kept"] == sum(counts.values())
        splits = tfds.builder_from_directory(directory).info.splits
        assert {split: info.num_examples for split, info in splits.items()} == counts


@pytest.mark.parametrize("name", available())
def test_every_builder_folder_is_whole(name):
    builder = builder_class_of(name)
    metadata = builder.get_metadata()
    assert builder.name == name
    assert metadata.description
    assert metadata.citation.startswith("@")
    assert "content.data-type.image" in metadata.tags
