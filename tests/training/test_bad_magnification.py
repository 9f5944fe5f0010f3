"""What a user of magnification may ask wrongly: one line each, before anything is trained."""

import re

import magnification
import pytest

from tfface.magnification.networks import ExpressionNet


@pytest.fixture
def run(job, tiny_magnification, tmp_path):
    """Function that runs the script in this process; returns its exit code and error line."""

    def ran(*flags):
        folder = tmp_path / "run"
        code, lines = job(magnification, "--config", tiny_magnification, "--out", folder, *flags)
        assert len(lines) == 1, lines
        assert not folder.exists()
        return code, lines[0]

    return ran


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--variant", "theirs"], "theirs"),
        (["--folds", "2"], "folds"),
        (["--average", "1"], "average"),
        (["--extractor_rate", "0"], "extractor_rate"),
        (["--backbones", "vgg11"], "backbones"),
        (["--pairs.kind", "videos"], "pairs.kind"),
        (["--pairs.weak_frames", "[0]"], "pairs.weak_frames"),
        (["--pairs.peak_share", "1"], "pairs.peak_share"),
        (["--pairs.crop", "0"], "pairs.crop"),
        (["--training.optimizer", "lion"], "training.optimizer"),
        (["--training.decay", "1"], "training.decay"),
        (["--training.decay_stalled", "0"], "training.decay_stalled"),
        (["--classifier.num_classes", "7"], "classifier.num_classes"),
        (["--generator.size", "64"], "generator.size"),
        (["--loss.mode", "cnn"], "loss.mode"),
    ],
)
def test_a_flag_that_cannot_be(run, flags, named):
    code, line = run(*flags)
    assert code == 2
    assert named in line


ALONE = ["--data.dataset", "image_folder/alone"]
GRAY = ["--data.dataset", "image_folder/gray"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        # Every sequence has nine frames; what is shorter than the last weak one has no pair.
        (
            ["--pairs.weak_frames", "[6,7,10]"],
            r"sequence of at least 10 frames. Received: {'shorter than 10 frames': 9}",
        ),
        # E alone shows disgust, and is tested.
        (
            [*GRAY, "--data.protocol", "kfold:4"],
            "must have a peak of each class. Received: none of disgust",
        ),
        ([*ALONE], "`shares` must each be worth a group; there are 1"),
        ([*ALONE, "--data.protocol", "kfold:2"], "between 2 and the number of groups, 1"),
        ([*ALONE, "--data.protocol", "shares:1-0-0"], "leaves no faces to test"),
        (["--data.protocol", "kfold:5"], "between 2 and the number of groups, 4. Received: 5"),
        (["--folds", "all", "--data.protocol", "kfold:5"], "the number of groups, 4. Received: 5"),
        (["--folds", "all"], "a number of folds to run them all; shares are drawn without end"),
        (["--pairs.classes", "[anger]"], "`classes` must be at least two of anger, happiness"),
        (["--pairs.classes", "[anger,anger]"], "none twice. Received: anger, anger"),
        (["--pairs.classes", "[anger,joy]"], "Received: anger, joy"),
        (["--pairs.crop", "24"], "`crop` must be from 1 to `size`, 18. Received: 24"),
        (["--pairs.size", "40", "--pairs.crop", "20"], "`size` must be a multiple of 8"),
        (["--pairs.mixed_with", "[image_folder/posed]"], "name other data sets, none twice"),
        (["--pairs.mixed_with", "[no_such_set]"], "no_such_set"),
        (["--pairs.mixed_with", "[image_folder/no]"], "image_folder/no is not prepared"),
        (
            ["--pairs.mixed_with", "[image_folder/gray]", "--pairs.kind", "picked"],
            "pairs.mixed_with is for sequences; pairs.kind is picked",
        ),
        (
            ["--pairs.mixed_with", "[image_folder/gray]", "--classifier_training.batch_size", "1"],
            "`batch_size` must leave a place for each part",
        ),
        (["--training.batch_size", "28"], "`batch_size` must be from 1 to .* 27. Received: 28"),
        (["--classifier_training.batch_size", "10"], "`batch_size` must be from 1 to .* 9"),
        (["--reconstruction.batch_size", "37"], "`batch_size` must be from 1 to .* 36"),
        (["--steps_per_execution", "3"], "`steps_per_execution` must divide"),
        (["--backbones", "[vgg11,vgg11]"], "backbones must not repeat a name"),
        (["--backbones", "[lenet]"], r"backbones must be some of alexnet, .*\['lenet'\]"),
        (["--classifier.backbone", "alexnet"], "alexnet must be at least 63 pixels"),
        (["--classifier.initialization", "zero"], "`initialization` must be one of"),
        (["--loss.content_loss", "style"], "`content_loss` must be one of"),
        (
            ["--loss.content_loss", "perceptual", "--variant", "1v2"],
            "`content_loss` 'perceptual' must have an extractor",
        ),
        (["--loss.content_loss", "perceptual", "--variant", "all"], "--variant cnn or 2v2"),
        (["--classifier_training.path", "/no/such.keras"], "/no/such.keras"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(run, flags, said):
    code, line = run(*flags)
    assert code == 2
    assert re.search(said, line), line


def test_a_set_without_expressions(run, faces):
    code, line = run("--data.dataset", "image_folder/tiny", "--data.data_dir", faces)
    assert code == 2
    assert "`classes` must be at least two of none" in line


def test_a_classifier_of_another_run(run, tmp_path):
    path = tmp_path / "classifier.keras"
    ExpressionNet(4, 16, "fer_net").save(path)
    code, line = run("--classifier_training.path", path)
    assert code == 2
    assert line == (
        "error: classifier_training.path must hold a classifier of 3 classes, 16 pixels and "
        "fer_net. Received: one of 4 classes, 16 pixels and fer_net"
    )
