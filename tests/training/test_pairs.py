"""Weak faces and peaks of a run: of one data set or of several, and peaks that are picked."""

from types import SimpleNamespace

import numpy as np
import pytest
from configuration import RunError, UsageError, make_parser, read_config
from pairs import PairsConfig, open_parts, pick

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

GROUPS = {"pairs": PairsConfig}


class Opened:
    """As much of a Run as pairs are opened with; `lines` is what it said."""

    def __init__(self, posed, protocol, fold, *flags):
        arguments = ["--pairs.size=18", "--pairs.crop=16", *flags]
        pairs = read_config(make_parser("", GROUPS), arguments).pairs
        data = SimpleNamespace(dataset="image_folder/posed")
        self.config = SimpleNamespace(pairs=pairs, data=data, seed=0)
        self.place, self.protocol, self.fold = posed, protocol, fold
        self.lines, self.say = [], lambda text: self.lines.append(text)

    def open_data(self, further=None):
        source = open_source(further or self.config.data.dataset, self.place)
        return source, make_fold(source, self.protocol, self.fold)


@pytest.fixture
def opened(posed):
    """Function of flags to such a run, of two folds of two people each."""
    return lambda *flags, protocol="kfold:2": Opened(posed, protocol, 0, *flags)


def test_sequences_of_one_set(opened):
    run = opened()
    (part,) = open_parts(run)
    assert run.lines == ["data: 18 pairs train, 6 peaks", "data: 18 pairs test, 6 peaks"]
    assert part.train.classes == ("anger", "happiness", "surprise")
    assert part.validation is None
    assert set(part.train.splits).isdisjoint(part.test.splits)


def test_a_part_that_validates(opened):
    run = opened(protocol="shares:0.5-0.25-0.25")
    (part,) = open_parts(run)
    assert [len(pairs) for pairs in (part.train, part.validation, part.test)] == [18, 9, 9]
    assert run.lines[-1] == "data: 9 pairs validation, 3 peaks"


def test_mixed_sets_share_classes_and_say_what_is_left_out(opened):
    """H's sadness is too short, anger and disgust are shown in one of the sets alone."""
    run = opened("--pairs.mixed_with", "[image_folder/gray]")
    first, second = open_parts(run)
    assert first.train.classes == second.train.classes == ("happiness", "surprise")
    assert run.lines == [
        "data: 12 pairs train of image_folder/posed, 4 peaks; left out: 2 of another expression",
        "data: 12 pairs test of image_folder/posed, 4 peaks; left out: 2 of another expression",
        "data: 12 pairs train of image_folder/gray, 4 peaks; left out: "
        "1 of another expression, 1 shorter than 8 frames",
        "data: 12 pairs test of image_folder/gray, 4 peaks; left out: 3 of another expression",
    ]


def test_classes_in_an_order_of_ones_own(opened):
    (part,) = open_parts(opened("--pairs.classes", "[surprise,anger]"))
    assert part.train.classes == ("surprise", "anger")
    shown = part.source.values(part.train.splits, ["expression"])["expression"][part.train.peak]
    names = [part.source.expressions[number] for number in shown]
    assert [part.train.classes[label] for label in part.train.label] == names


class Known:
    """A set of which only its people matter."""

    expressions = ("anger", "happiness")

    def __init__(self, people):
        self.people = people

    def people_of(self, splits):
        return {self.people[split] for split in splits}


def test_people_who_test_do_not_train_in_another_set(opened):
    """P tests in the first set, and would train in the second."""
    run = opened("--pairs.mixed_with", "[image_folder/gray]")
    fold = SimpleNamespace(train=("train",), validation=(), test=("test",))
    sets = {
        None: Known({"train": ("x", "O"), "test": ("x", "P")}),
        "image_folder/gray": Known({"train": ("x", "P"), "test": ("x", "Q")}),
    }
    run.open_data = lambda further=None: (sets[further], fold)
    with pytest.raises(UsageError, match="into the training. Received: 1 of them"):
        open_parts(run)


class Answering:
    """A classifier whose probabilities are known, face by face in the order that it is asked."""

    def __init__(self, probabilities):
        self.logits, self.place = np.log(np.float32(probabilities)), 0

    def __call__(self, batch, training):
        assert not training and batch.shape[1:] == (16, 16, 3)
        self.place += len(batch)
        return self.logits[self.place - len(batch) : self.place]


def sure_of(labels, classes, chosen):
    """Probabilities: `chosen` faces are surely of their class, the others less so."""
    probabilities = np.full((len(labels), classes), 0.3 / (classes - 1))
    probabilities[np.arange(len(labels)), labels] = 0.7
    probabilities[chosen] = 0.02
    probabilities[chosen, labels[chosen]] = 0.96
    return probabilities


def test_peaks_are_picked_by_a_classifier(opened):
    """The surest tenth of a class's 18 faces are two; test faces stand beside training peaks."""
    run = opened("--pairs.kind", "picked")
    (part,) = open_parts(run)
    assert (len(part.train), part.test) == (54, None)
    labels = part.train.label
    chosen = np.sort([np.flatnonzero(labels == label)[[4, 9]] for label in range(3)], axis=None)
    picked = pick(run, part, Answering(sure_of(labels, 3, chosen)))
    assert sorted(set(picked.train.peak)) == list(chosen)
    np.testing.assert_array_equal(picked.train.weak, np.setdiff1d(np.arange(54), chosen))
    np.testing.assert_array_equal(labels[picked.train.peak], picked.train.label)
    assert run.lines == ["data: 48 pairs train, 6 peaks"]
    # Of the test, no face is left out, and its rows come behind those of the training faces.
    assert (len(picked.test), picked.validation) == (54, None)
    assert picked.test.splits == (*part.fold.train, *part.fold.test)
    np.testing.assert_array_equal(picked.test.weak, np.arange(54, 108))
    assert set(picked.test.peak) <= set(chosen)
    np.testing.assert_array_equal(labels[picked.test.peak], picked.test.label)


def test_a_class_that_the_classifier_does_not_know_has_no_peak(opened):
    run = opened("--pairs.kind", "picked")
    (part,) = open_parts(run)
    probabilities = np.tile([0.6, 0.3, 0.1], (54, 1))
    with pytest.raises(RunError, match="as a peak of happiness, surprise; train it longer"):
        pick(run, part, Answering(probabilities))
