"""What a search varies, who proposes weights, and where several processes meet."""

import os
import socket

import keras_tuner
import magnification
import pytest
import recognition
import regeneration
import restoration
import synthesis
from configuration import UsageError, read_config
from keras_tuner.engine.trial import TrialStatus
from tuning.cluster import VARIABLES, Place, read_place, serve
from tuning.oracles import EPOCHS, PAST, make_oracle
from tuning.space import SYSTEMS, Range, ranges_of

SCRIPTS = (magnification, recognition, regeneration, restoration, synthesis)


@pytest.mark.parametrize("system", SCRIPTS, ids=lambda script: script.__name__)
def test_weights_are_the_models_with_the_papers_symbols(system, parser_of):
    """The keys of `loss` that are weights of a term, by what their help calls them."""
    usage_and_help = " ".join(parser_of(system).format_help().split())
    help_text = usage_and_help.split(" options: ", 1)[1]
    config = read_config(parser_of(system), ["--out", "x"])
    known = SYSTEMS[system.__name__]
    assert set(known.weights) == {name for name in vars(config.loss) if name.endswith("_weight")}
    for name, weight in known.weights.items():
        described = help_text.split(f"--loss.{name} ")[1].split(" ", 1)[1]
        assert described.lower().startswith(weight.symbol.lower()), (name, described[:30])
    assert all(key in config for key in known.single)


@pytest.mark.parametrize(
    ("system", "flags", "expected"),
    [
        ("recognition", [], ["adversarial_weight"]),
        ("restoration", ["--variant=ours_minus"], ["adversarial_weight", "perceptual_weight"]),
        ("restoration", ["--perceptual_network=none"], ["adversarial_weight", "expression_weight"]),
        ("magnification", ["--variant=dcgan"], ["real_weight", "class_weight"]),
        (
            "magnification",
            ["--variant=1v2", "--loss.class_weight=0"],
            ["real_weight", "peak_weight"],
        ),
        ("regeneration", [], ["content_weight", "perceptual_weight"]),
        (
            "regeneration",
            ["--training.optimizer=sgd"],
            ["content_weight", "perceptual_weight", "generator_weight"],
        ),
    ],
)
def test_weights_that_play_no_part_or_are_0_are_left_out(system, flags, expected, parser_of):
    (script,) = (each for each in SCRIPTS if each.__name__ == system)
    config = read_config(parser_of(script), ["--out", "x", *flags])
    ranges = ranges_of(system, config, None, 10.0)
    assert list(ranges) == expected
    for name, each in ranges.items():
        assert each.own == config.loss[name]
        assert (each.low, each.high) == pytest.approx((each.own / 10, each.own * 10))
    one = ranges_of(system, config, expected[0], 10.0)
    assert one == {expected[0]: ranges[expected[0]]}


def test_a_range_ends_where_the_model_does(parser_of):
    config = read_config(parser_of(recognition), ["--out", "x", "--loss.adversarial_weight=0.2"])
    (alpha,) = ranges_of("recognition", config, None, 30.0).values()
    assert (alpha.low, alpha.high) == pytest.approx((0.2 / 30, 0.99))


SPACE = {"a": Range("lambda", 0.1, 0.001, 10.0)}


def hyperband(trials):
    return make_oracle("hyperband", SPACE, "max", trials, seed=0, epochs=3)


def ended(oracle, trial, value):
    oracle.update_trial(trial.trial_id, {"objective": value})
    trial.status = TrialStatus.COMPLETED
    oracle.end_trial(trial)


def test_two_at_hyperband_leave_each_other_the_trials_that_a_bracket_needs(tmp_path):
    oracle = hyperband(trials=5)
    oracle.open(tmp_path)
    own, *short = [oracle.create_trial(f"worker-{i}") for i in range(4)]
    assert own.hyperparameters.values["a"] == 0.1
    assert own.hyperparameters.values[EPOCHS] == 3
    # The fifth is for the best of the three, which are not known yet.
    assert oracle.create_trial("worker-4").status == TrialStatus.IDLE
    for value, trial in enumerate(short):
        ended(oracle, trial, float(value))
    last = oracle.create_trial("worker-4")
    assert last.hyperparameters.values[PAST] == short[-1].trial_id
    assert oracle.create_trial("worker-1").status == TrialStatus.STOPPED


def test_a_search_that_was_killed_gives_out_again_what_was_cut_off(tmp_path):
    def opened(trials=6):
        oracle = make_oracle("random", SPACE, "min", trials, seed=0, epochs=1)
        oracle.open(tmp_path)
        return oracle

    first = opened()
    trials = [first.create_trial(f"worker-{i}") for i in range(4)]
    ended(first, trials[1], 0.5)
    # Killed after the trial's file was written, and before the oracle's.
    before = (tmp_path / "keras_tuner/oracle.json").read_text()
    lost = first.create_trial("worker-1")
    (tmp_path / "keras_tuner/oracle.json").write_text(before)

    again = opened()
    given = [again.create_trial(f"new-{i}") for i in range(4)]
    assert [trial.trial_id for trial in given] == ["0", "2", "3", "4"]
    for old, new in zip([trials[0], *trials[2:], lost], given, strict=True):
        assert new.hyperparameters.values == old.hyperparameters.values
    ended(again, given[0], 0.25)
    assert [trial.score for trial in again.get_best_trials(2)] == [0.25, 0.5]


def test_what_a_worker_ends_after_its_chief_came_back_is_given_to_nobody(tmp_path):
    first = make_oracle("random", SPACE, "min", 2, seed=0, epochs=1)
    first.open(tmp_path)
    trial = first.create_trial("worker-1")
    again = make_oracle("random", SPACE, "min", 2, seed=0, epochs=1)
    again.open(tmp_path)
    ended(again, trial, 1.0)  # by a worker that never noticed
    assert again.create_trial("worker-1").trial_id == "1"
    assert again.create_trial("worker-2").status == TrialStatus.STOPPED


def test_every_file_of_an_oracle_is_whole(tmp_path, monkeypatch):
    """A kill may come while one is written."""
    oracle = make_oracle("random", SPACE, "min", 4, seed=0, epochs=1)
    oracle.open(tmp_path)
    oracle.create_trial("alone")
    held = {path: path.read_text() for path in tmp_path.rglob("*.json")}
    assert len(held) == 2

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        oracle.save()
    assert {path: path.read_text() for path in tmp_path.rglob("*.json")} == held


def test_an_oracle_is_one_of_keras_tuners():
    for tuner, kind in (
        ("random", keras_tuner.oracles.RandomSearchOracle),
        ("bayesian", keras_tuner.oracles.BayesianOptimizationOracle),
        ("hyperband", keras_tuner.oracles.HyperbandOracle),
    ):
        oracle = make_oracle(tuner, SPACE, "min", 5, seed=0, epochs=3)
        assert isinstance(oracle, kind) and oracle.objective.direction == "min"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("chief", "", ""), "Received: nothing in KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"),
        ((None, "127.0.0.1", "8000"), "Received: nothing in KERASTUNER_TUNER_ID"),
        (("worker", "127.0.0.1", "http"), "_PORT must be from 1 to 65535. Received: http"),
        (("worker", "127.0.0.1", "0"), "_PORT must be from 1 to 65535. Received: 0"),
        (("worker", "127.0.0.1", "65536"), "_PORT must be from 1 to 65535. Received: 65536"),
    ],
)
def test_a_place_that_is_none(values, message):
    environment = {
        name: value for name, value in zip(VARIABLES, values, strict=True) if value is not None
    }
    with pytest.raises(UsageError, match=message):
        read_place(environment)


def test_a_place():
    assert read_place({"PATH": "/bin"}) is None
    environment = dict(zip(VARIABLES, ("chief", "10.0.0.7", "8000"), strict=True))
    place = read_place(environment)
    assert place == Place("chief", "10.0.0.7", 8000) and place.is_chief
    assert place.address == "10.0.0.7:8000"
    assert not read_place(environment | {VARIABLES[0]: "worker-2"}).is_chief


def test_two_chiefs_on_one_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = Place("chief", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UsageError, match=f"the chief cannot listen at {place.address}"):
            serve(hyperband(5), place, lambda: None)
