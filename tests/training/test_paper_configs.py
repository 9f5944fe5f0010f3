"""Each config of a licensed set runs an epoch on it, from the delivered files to the summary.

Sets, networks and lengths are tiny; protocols, losses and all else are the config's own.
"""

import csv
import functools
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import restoration

from tests.layouts import (
    bp4d,
    bu3dfe,
    bu4dfe,
    ck_plus,
    disfa,
    fer2013,
    lsemsw,
    oulu_casia,
    sketchy,
)
from tests.layouts.faces import MiddleDetector, posed
from tfface.cli import main
from tfface.data.datasets import base
from tfface.data.folds import BP4D_PARTS, DISFA_PARTS

CONFIGS = Path(restoration.__file__).parent / "configs"


def people(form):
    """Ten subjects, as many as the protocols have folds at most."""
    return [form.format(number) for number in range(1, 11)]


# How much of each set its protocols need; expressions run over eight frames, as weak ones ask for.
SETS = {
    "bp4d": (bp4d, {"subjects": sum(BP4D_PARTS, ()), "tasks": ("T2",), "frames": 2, "uncoded": 0}),
    "disfa": (disfa, {"subjects": sum(DISFA_PARTS, ()), "frames": 2}),
    "ck_plus": (ck_plus, {"subjects": people("S{:03d}"), "expressions": 7, "frames": 8}),
    "oulu_casia": (
        oulu_casia,
        {"subjects": people("P{:03d}"), "places": ["VL/Strong"], "frames": 8},
    ),
    "bu3dfe": (bu3dfe, {"subjects": people("F{:04d}")}),
    "bu4dfe": (bu4dfe, {"subjects": people("F{:03d}"), "frames": 2}),
    "fer2013": (fer2013, {"faces": 28}),
    "sketchy": (sketchy, {}),
    "lsemsw": (lsemsw, {"splits": {"train": 26, "validation": 13, "test": 13}}),
}


def short(*plans, steps=1):
    """Flags that make each of these plans one epoch of so many steps."""
    values = {"epochs": 1, "steps_per_epoch": steps, "batch_size": 4}
    return [f"--{plan}.{key}={value}" for plan in plans for key, value in values.items()]


RESTORATION = [
    *short("classifier_training", "training"),
    "--perceptual_network=classifier",  # VGG-19's weights would be downloaded.
    *("--generator.filters=4", "--generator.blocks=1", "--classifier.widths=[4,4]"),
    *("--discriminator.filters=2", "--discriminator.dense_units=4"),
]
RECOGNITION = [
    *short("training"),
    *("--folds=one", "--recognizer.backbone=fer_net", "--recognizer.size=16"),
    *("--recognizer.weights=null", "--discriminator.units=[8,4]"),
]
MAGNIFICATION = [
    *short("classifier_training", "reconstruction", "training"),
    *("--folds=one", "--pairs.size=18", "--pairs.crop=16", "--classifier.backbone=fer_net"),
    *("--generator.filters=[2,2,4,4]", "--discriminator.filters=[2,4]"),
]
# A classifier that knows no face of a class can pick no peak of it: this one learns them by heart.
PICKED = [
    *("--pairs.classes=[happy,surprised]", "--pairs.size=34", "--pairs.crop=32"),
    *("--classifier.initialization=he", "--classifier.backbone=compact"),
    *short("classifier_training", steps=60),
    *("--classifier_training.optimizer=adam", "--classifier_training.learning_rate=0.002"),
    "--training.batch_size=2",  # all but the peaks of four faces
]
REGENERATION = [
    *short("classifier_training", "training"),
    *("--folds=one", "--faces.size=16", "--faces.classes=[happiness,surprise]"),
    *("--generator.filters=[2,4]", "--discriminator.filters=[2,4]"),
]
SYNTHESIS = [
    *short("subject_training", "recognizer_training", "training"),
    "--identity_network=classifier",  # VGG-Face's weights are its owner's to give.
    *("--size=32", "--generator.filters=[2,2,3,3,4]", "--generator.latent_size=4"),
    *("--region_discriminator.filters=[2,2,3,3]", "--latent_discriminator.units=[4,3,2]"),
    *("--face_discriminator.filters=[2,3]", "--subject_classifier.filters=[2,3]"),
    *("--recognizer.backbone=fer_net", "--recognizer.weights=null"),
]

# By config: the sets that it needs, its own first, and what makes it small.
RUNS = {
    "magnification/paper_ckplus_oulu": (["ck_plus", "oulu_casia"], MAGNIFICATION),
    "magnification/paper_lsemsw": (["lsemsw"], [*MAGNIFICATION, *PICKED]),
    "magnification/sketchy": (["sketchy"], MAGNIFICATION),
    "recognition/paper_bp4d": (["bp4d"], RECOGNITION),
    "recognition/paper_disfa": (["disfa"], RECOGNITION),
    "regeneration/fer2013": (["fer2013"], REGENERATION),
    "regeneration/paper_bu3dfe": (["bu3dfe"], REGENERATION),
    "regeneration/paper_bu4dfe": (["bu4dfe"], REGENERATION),
    "regeneration/paper_ckplus": (["ck_plus"], REGENERATION),
    "regeneration/paper_oulu": (
        ["oulu_casia"],
        [
            *REGENERATION,
            *("--features=backbone:vgg11", "--perceptual_layers=[block2_conv1]"),
            "--faces.size=32",
        ],
    ),
    "restoration/paper_bp4d": (["bp4d"], RESTORATION),
    "restoration/paper_disfa": (["disfa"], RESTORATION),
    "synthesis/paper_bp4d": (["bp4d"], SYNTHESIS),
}


def test_every_config_of_a_licensed_set_is_run():
    configs = {f"{file.parent.name}/{file.stem}" for file in CONFIGS.glob("*/*.yaml")}
    free = {name for name in configs if name.endswith(("/quickstart", "/real_faces"))}
    assert configs - free == set(RUNS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Function that prepares sets of `SETS`, each once, as a user does; returns where they lie.

    Two people stand for all who pose, since drawing faces takes longer than all else; only LSEMSW,
    whose few people's peaks are to be told from other faces, has its own.
    """
    whole = functools.cache(lambda number: posed(f"person {number}", 7, 12))

    def shown(subject, expressions, count=12):
        places = np.linspace(0, 11, count).round().astype(int)
        looks = whole(sum(subject.encode()) % 2)[:expressions]
        return [[sequence[place] for place in places] for sequence in looks]

    data_dir = tmp_path_factory.mktemp("prepared")

    @functools.cache
    def made(name):
        layout, extent = SETS[name]
        delivered = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            if hasattr(layout, "posed") and layout is not lsemsw:
                patch.setattr(layout, "posed", shown)
            patch.setattr(base, "create_detector", lambda kind, model: MiddleDetector())
            layout.make(delivered, **extent)
            command = ["prepare", name, "--manual_dir", delivered, "--data_dir", data_dir]
            assert main([str(argument) for argument in command]) == 0

    def all_made(names):
        for name in names:
            made(name)
        return data_dir

    return all_made


@pytest.mark.slow
@pytest.mark.parametrize("config", RUNS)
def test_a_paper_config_runs_an_epoch_on_its_data_set(config, prepared, job, tmp_path):
    sets, flags = RUNS[config]
    system = config.partition("/")[0]
    folder = tmp_path / "run"
    code, lines = job(
        importlib.import_module(system),
        *("--config", CONFIGS / f"{config}.yaml", "--data.data_dir", prepared(sets)),
        *("--out", folder, "--export_dir=null", *flags),
    )
    assert code == 0, lines
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["system"], summary["steps"]) == (system, 1)
    assert summary["dataset"].partition("/")[0] == sets[0]
    assert summary["test_faces"] > 0
    with (folder / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[-1]["stage"] == ("classifier" if config == "regeneration/fer2013" else system)
    assert [row["epoch"] for row in rows] == ["1"] * len(rows)
