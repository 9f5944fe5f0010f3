"""The search of loss weights: what it tries and when, what it leaves, a kill, several processes."""

import csv
import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import keras_tuner
import magnification
import numpy as np
import pytest
import recognition
import regeneration
import restoration
import synthesis
import tune
import yaml
from configuration import RunError, UsageError, read_config
from keras_tuner.engine.trial import TrialStatus
from tuning.cluster import VARIABLES, Place, read_place, serve
from tuning.oracles import EPOCHS, PAST, make_oracle
from tuning.space import SYSTEMS, Range, ranges_of

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

SCRIPTS = (magnification, recognition, regeneration, restoration, synthesis)
FIGURE = SYSTEMS["recognition"].figure
SHORT = ("--training.epochs=1", "--training.steps_per_epoch=1", "--action_units=[1,4,12,15]")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def search(tiny_recognition, tmp_path, capsys, monkeypatch):
    """Function of flags that searches in this process; returns the exit code and the lines.

    The lines are those of an error if there is one. The search's folder is tmp_path / "search".
    """
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def ran(*flags, system="recognition"):
        capsys.readouterr()
        flags = ["--config", tiny_recognition, "--out", tmp_path / "search", *flags]
        try:
            code = tune.main(["--system", system, *map(str, flags)])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, (said.err if code else said.out).splitlines()

    return ran


@pytest.fixture
def pretended(monkeypatch):
    """Trainings that take no time and reach more the nearer alpha is to 0.1; those that ran.

    After fewer epochs they reach a little less, and beyond an alpha of 0.25 they fail.
    """
    ran = []

    def train(config):
        alpha, folder = config.loss.adversarial_weight, Path(config.out)
        earlier = sorted(path.name for path in folder.iterdir())
        ran.append((folder.name, alpha, config.training.epochs, earlier))
        if alpha > 0.25:
            raise RunError("loss is not a number")
        value = 0.8 - 0.1 * abs(np.log10(alpha / 0.1)) - 0.01 / config.training.epochs
        (folder / "checkpoints").mkdir(exist_ok=True)
        for name in ("config.yaml", "history.csv"):
            (folder / name).touch()
        summary = {"metrics": {"f1": {"ours": {"mean": value}}}, "training_time_s": 2.5}
        (folder / "summary.json").write_text(json.dumps(summary))

    monkeypatch.setattr(recognition, "train", train)
    return ran


@pytest.mark.parametrize("system", SCRIPTS, ids=lambda script: script.__name__)
def test_weights_are_the_models_with_the_papers_symbols(system, parser_of):
    """The keys of `loss` that are weights of a term, by what their help calls them."""
    help_text = " ".join(parser_of(system).format_help().split())
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


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_a_search_tries_the_own_weights_first_and_finds_better(search, pretended, tmp_path, tuner):
    folder = tmp_path / "search"
    code, said = search("--trials=12", "--tuner", tuner, "--apply", tmp_path / "best.yaml")
    assert code == 0
    assert "search: loss.adversarial_weight (alpha) from 0.000333 to 0.3, own 0.01" in said
    assert f"search: 12 trials, {tuner}; highest {FIGURE}" in said
    rows = table(folder / "trials.csv")
    assert [row["trial"] for row in rows] == [f"{i:02}" for i in range(12)]
    alphas = [float(row["adversarial_weight"]) for row in rows]
    assert alphas[0] == 0.01 and len(set(alphas)) == 12
    assert all(0.01 / 30 <= alpha <= 0.3 for alpha in alphas)
    assert [(name, pytest.approx(alpha, rel=1e-5)) for name, alpha, *_ in pretended] == [
        (row["trial"], float(row["adversarial_weight"])) for row in rows
    ]
    for row, alpha in zip(rows, alphas, strict=True):
        assert row["status"] == ("failed" if alpha > 0.25 else "completed")
        assert row["folder"] == str(folder / "trials" / row["trial"])
    done = [row for row in rows if row["status"] == "completed"]
    assert {row["seconds"] for row in done} == {"2.5"}
    best = max(done, key=lambda row: float(row[FIGURE]))
    assert float(best[FIGURE]) > float(rows[0][FIGURE]) == pytest.approx(0.8 - 0.1 - 0.005)
    if tuner == "bayesian":  # What it has learned brings it nearer than chance mostly does.
        assert 0.05 < float(best["adversarial_weight"]) < 0.2
    picture = cv2.imread(str(folder / "trials.png"))
    assert picture.shape[0] >= 300 and picture.shape[1] >= 400
    assert any(line.startswith(f"| best (trial {best['trial']})") for line in said)
    assert f"search: the config with the best weights is {tmp_path / 'best.yaml'}" in said

    # The same command again has nothing to do; with more trials it goes on.
    pretended.clear()
    assert search("--trials=12", "--tuner", tuner)[0] == 0
    assert pretended == []
    assert search("--trials=14", "--tuner", tuner)[0] == 0
    assert [name for name, *_ in pretended] == ["12", "13"]
    assert table(folder / "trials.csv")[:12] == rows


def test_the_applied_config_is_the_users_with_the_best_weights(
    search, pretended, tiny_recognition, parser_of, tmp_path
):
    applied = tmp_path / "configs" / "best.yaml"
    assert search("--trials=8", "--seed=3", "--apply", applied)[0] == 0
    done = [row for row in table(tmp_path / "search/trials.csv") if row["status"] == "completed"]
    best = max(done, key=lambda row: float(row[FIGURE]))
    flags = ["--out", "x", "--seed=3"]
    mine = read_config(parser_of(recognition), ["--config", str(tiny_recognition), *flags])
    found = read_config(parser_of(recognition), ["--config", str(applied), "--out", "x"])
    alpha = found.loss.adversarial_weight
    assert alpha == pytest.approx(float(best["adversarial_weight"]), rel=1e-5)
    mine.loss.adversarial_weight = alpha
    assert found == mine
    assert found.data.protocol == "shares:0.75-0-0.25"
    assert f"trial {best['trial']} in {tmp_path / 'search'}" in applied.read_text()


def test_hyperband_goes_on_with_the_best_of_the_short(search, pretended, tmp_path):
    """3 epochs, thinned out by 3: three trials of one epoch, of which one goes on to three."""
    code, said = search("--trials=5", "--tuner=hyperband", "--training.epochs=3")
    assert code == 0
    rows = table(tmp_path / "search/trials.csv")
    assert [row["epochs"] for row in rows] == ["3", "1", "1", "1", "3"]
    short = [row for row in rows[1:4] if row["status"] == "completed"]
    best = max(short, key=lambda row: float(row[FIGURE]))
    assert [row["went on from"] for row in rows] == ["", "", "", "", best["trial"]]
    assert rows[4]["adversarial_weight"] == best["adversarial_weight"]
    # It found the checkpoints of the earlier one; the first began with nothing.
    assert pretended[4][3] == ["checkpoints", "config.yaml", "history.csv"]
    assert pretended[0][3] == []
    whole = max((rows[0], rows[4]), key=lambda row: float(row[FIGURE]))
    assert any(line.startswith(f"| best (trial {whole['trial']})") for line in said)

    code, said = search("--trials=4", "--tuner=hyperband", "--training.epochs=3")
    assert code == 2
    assert said == [
        "error: hyperband needs at least 5 trials to bring one to the end of 3 epochs. Received: 4"
    ]


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


@pytest.fixture(scope="module")
def real(tiny_recognition, tmp_path_factory):
    """A search of real trainings: hyperband, the first two of whose five trials are looked at."""
    folder = tmp_path_factory.mktemp("real") / "search"
    flags = ["--config", str(tiny_recognition), "--out", str(folder)]
    flags += ["--training.epochs=3", "--training.steps_per_epoch=1", "--action_units=[1,4,12,15]"]
    assert tune.main(["--system=recognition", "--tuner=hyperband", "--trials=5", *flags]) == 0
    return folder


@pytest.mark.slow
def test_a_trial_is_a_run_that_never_saw_who_tests(real, faces):
    source = open_source("image_folder/tiny", faces)
    tested = source.people_of(make_fold(source, "shares:0.75-0-0.25", 0).test)
    for row in table(real / "trials.csv"):
        folder = real / "trials" / row["trial"]
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["fold"] == {"protocol": "tuning:shares:0.75-0-0.25", "index": 0}
        assert summary["exported"] is None
        assert float(row[FIGURE]) == pytest.approx(
            summary["metrics"]["f1"]["ours"]["mean"], rel=1e-5
        )
        trained = {face["subject"] for face in table(folder / "training_faces.csv")}
        fold = make_fold(source, "tuning:shares:0.75-0-0.25", 0)
        assert trained == source.people_of(fold.train)
        assert len(trained) == 2 and not trained & (tested | source.people_of(fold.test))
        assert (summary["training_faces"], summary["test_faces"]) == (
            {"labeled": 6, "unlabeled": 6},
            6,
        )
        config = yaml.safe_load((folder / "config.yaml").read_text())
        assert config["loss"]["adversarial_weight"] == pytest.approx(
            float(row["adversarial_weight"]), rel=1e-5
        )


@pytest.mark.slow
def test_a_longer_trial_goes_on_from_the_shorter_ones_weights(real):
    *_, last = table(real / "trials.csv")
    folder, past = (real / "trials" / last[key] for key in ("trial", "went on from"))
    history, before = table(folder / "history.csv"), table(past / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert history[:1] == before
    assert json.loads((folder / "summary.json").read_text())["steps"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("system", ["magnification", "restoration"])
def test_the_figure_of_a_system_stands_in_its_summary(
    system, finished_magnification, finished, parser_of
):
    """Those of the others: here, and in the tests of their scripts."""
    folder = {"magnification": finished_magnification, "restoration": finished}[system][0]
    summary = json.loads((folder / "summary.json").read_text())
    config = SimpleNamespace(get={"variant": summary["variant"]}.get)
    value = SYSTEMS[system].value(folder / "summary.json", config)
    figure = {"magnification": "accuracy", "restoration": "f1"}[system]
    assert value == summary["metrics"][figure][summary["variant"]] and 0 <= value <= 1


def command(tiny_recognition, folder, *flags):
    flags = ("--config", tiny_recognition, "--out", folder, "--tuner=random", *flags)
    return ("tune", "--system=recognition", *flags)


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_trial_that_was_cut_off(
    start, kill_when, tiny_recognition, tmp_path
):
    folder = tmp_path / "search"
    steps = ("--training.steps_per_epoch=1", "--training.epochs=3", "--action_units=[1,4,12,15]")
    again = command(tiny_recognition, folder, "--trials=3", *steps)
    kill_when(start(*again), (folder / "trials/1/checkpoints/recognition/checkpoint").exists)
    first = folder / "trials/0/summary.json"
    before = first.stat().st_mtime_ns
    assert not (folder / "trials/1/summary.json").exists()

    process = start(*again)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    lines = said.splitlines()
    trials = [line for line in lines if line.startswith("trial ")]
    assert [line.split(":")[0] for line in trials] == ["trial 1"] * 2 + ["trial 2"] * 2
    at = lines.index(next(line for line in lines if line.startswith("recognition: going on")))
    assert lines.index(trials[0]) < at < lines.index(trials[1])
    assert first.stat().st_mtime_ns == before
    rows = table(folder / "trials.csv")
    assert [row["status"] for row in rows] == ["completed"] * 3


def free_port():
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return finder.getsockname()[1]


@pytest.mark.slow
def test_a_chief_and_two_workers_share_the_trials(start, tiny_recognition, tmp_path):
    """One of them is killed in its trial, and goes on with it when it is started again."""
    folder, port = tmp_path / "search", free_port()
    applied = tmp_path / "best.yaml"
    shared = command(tiny_recognition, folder, "--trials=6", *SHORT, "--apply", applied)

    def started(name):
        place = dict(zip(VARIABLES, (name, "127.0.0.1", str(port)), strict=True))
        return start(*shared, environment=place)

    processes = {name: started(name) for name in ("chief", "worker-1", "worker-2")}
    given = folder / "keras_tuner" / "oracle.json"
    try:
        deadline = time.monotonic() + 200
        while "worker-1" not in (ongoing(given)) and time.monotonic() < deadline:
            time.sleep(0.01)
        cut_off = ongoing(given)["worker-1"]
        os.killpg(processes["worker-1"].pid, signal.SIGKILL)
        processes.pop("worker-1").communicate()
        processes["worker-1, again"] = started("worker-1")
        said = {}
        for name, process in processes.items():
            said[name], complaints = process.communicate(timeout=300)
            assert process.returncode == 0, (name, complaints)
    finally:
        for process in processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    rows = table(folder / "trials.csv")
    assert [row["status"] for row in rows] == ["completed"] * 6
    done = {
        name: [line.split()[1] for line in lines.splitlines() if f": {FIGURE}" in line]
        for name, lines in said.items()
    }
    assert done["chief"] == []
    assert f"{cut_off}:" == done["worker-1, again"][0]
    assert sorted(trial for trials in done.values() for trial in trials) == [
        f"{i}:" for i in range(6)
    ]
    assert done["worker-2"]
    assert applied.exists() and (folder / "trials.png").exists()
    assert f"search: the config with the best weights is {applied}" in said["chief"]
    assert "search: " not in said["worker-2"]


def ongoing(path):
    try:
        return json.loads(path.read_text())["ongoing_trials"]
    except FileNotFoundError:
        return {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trials=0"], "--trials"),
        (["--range=1"], "--range"),
        (["--tuner=grid"], "--tuner"),
        (["--weights=region_weight"], "weights must be some of adversarial_weight. Received: reg"),
        (["--loss.adversarial_weight=0"], "no loss weight plays a part in this config and is abo"),
        (
            ["--loss.adversarial_weight=0", "--weights=adversarial_weight"],
            "loss.adversarial_weight is 0, around which there is no range",
        ),
        (
            ["--variant=o_wlc", "--weights=adversarial_weight"],
            "loss.adversarial_weight plays no part in this config",
        ),
        (["--variant=both"], "no loss weight plays a part"),
        (["--alphas=[0.1,0.2]"], "a trial is one whole run: alphas must be [], not a series"),
        (["--folds=all"], "a trial is one whole run: folds must be 'one'"),
        (["--strategy=multi_worker"], "strategy must not be multi_worker"),
        (["--apply=."], "apply must be a file. Received: the folder ."),
        (["--data.protocol=shares:1-0-0"], "leaves no faces to test"),
        (["--data.protocol=loso"], "`protocol` must be 'bp4d_3fold'"),
    ],
)
def test_what_cannot_be_searched_is_one_line(search, tmp_path, flags, message):
    code, lines = search(*flags)
    assert code == 2
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "search/trials.csv").exists()


@pytest.mark.parametrize("flags", [[], ["--system"], ["--system", "other"], ["--trials=3"]])
def test_a_system_that_is_none(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        tune.main(flags)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--system must be one of magnification, recognition, regeneration, rest" in line


def test_a_folder_that_holds_something_else(search, pretended, tmp_path):
    assert search("--trials=1")[0] == 0
    code, lines = search("--trials=1", "--range=10")
    assert (code, lines) == (
        2,
        [
            f"error: {tmp_path / 'search'} holds a search with range=30.0, not 10.0; name another "
            "--out"
        ],
    )
    assert "tuner='bayesian', not 'random'" in search("--tuner=random")[1][0]
    assert "training.epochs=2, not 5" in search("--training.epochs=5")[1][0]
    shutil.rmtree(tmp_path / "search")
    (tmp_path / "search").mkdir()
    (tmp_path / "search/config.yaml").touch()
    code, lines = search("--trials=1")
    assert code == 2 and "holds a run, not a search; name another --out" in lines[0]


def test_a_search_none_of_whose_trials_ends(search, monkeypatch, tmp_path):
    def train(config):
        raise RunError("loss is not a number")

    monkeypatch.setattr(recognition, "train", train)
    code, lines = search("--trials=4")
    assert (code, lines) == (1, [f"error: no trial in {tmp_path / 'search'} came to its end"])
    assert [row["status"] for row in table(tmp_path / "search/trials.csv")] == ["failed"] * 4


def test_an_error_that_is_not_the_weights_ends_the_search(search, pretended, monkeypatch, tmp_path):
    """Such as a full disk: nothing is held against the trial, which is done again."""
    working, broken = recognition.train, [True]

    def train(config):
        if config.out.endswith("1") and broken:
            raise OSError("No space left on device")
        working(config)

    monkeypatch.setattr(recognition, "train", train)
    assert search("--trials=3") == (1, ["error: No space left on device"])
    broken.clear()
    assert search("--trials=3")[0] == 0
    assert [name for name, *_ in pretended] == ["0", "1", "2"]


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


def test_a_worker_whose_chief_answers_no_more(search, monkeypatch):
    monkeypatch.setattr("keras_tuner.src.distribute.oracle_client.TIMEOUT", 0.2)
    port = free_port()
    for name, value in zip(VARIABLES, ("worker", "127.0.0.1", str(port)), strict=True):
        monkeypatch.setenv(name, value)
    code, lines = search("--trials=2")
    assert code == 1
    assert lines == [
        f"error: the chief at 127.0.0.1:{port} does not answer (DEADLINE_EXCEEDED); start it "
        "again, and this worker"
    ]


def test_an_oracle_is_one_of_keras_tuners():
    for tuner, kind in (
        ("random", keras_tuner.oracles.RandomSearchOracle),
        ("bayesian", keras_tuner.oracles.BayesianOptimizationOracle),
        ("hyperband", keras_tuner.oracles.HyperbandOracle),
    ):
        oracle = make_oracle(tuner, SPACE, "min", 5, seed=0, epochs=3)
        assert isinstance(oracle, kind) and oracle.objective.direction == "min"
