"""The search of loss weights: what it tries and when, what it leaves, what it refuses."""

import csv
import functools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import recognition
import tune
import yaml
from configuration import RunError, read_config
from tuning.cluster import VARIABLES
from tuning.space import SYSTEMS

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

FIGURE = SYSTEMS["recognition"].figure
PROTOCOL = "shares:0.75-0-0.25"
PARSER = functools.cache(tune.search_parser)  # it takes a second to make


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
    monkeypatch.setattr(tune, "search_parser", PARSER)

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


def test_a_search_tries_the_own_weights_first_and_finds_better(search, pretended, tmp_path):
    folder = tmp_path / "search"
    code, said = search("--trials=12", "--tuner=random", "--apply", tmp_path / "best.yaml")
    assert code == 0
    assert "search: loss.adversarial_weight (alpha) from 0.000333 to 0.3, own 0.01" in said
    assert f"search: 12 trials, random; highest {FIGURE}" in said
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
    picture = cv2.imread(str(folder / "trials.png"))
    assert picture.shape[0] >= 300 and picture.shape[1] >= 400
    assert any(line.startswith(f"| best (trial {best['trial']})") for line in said)
    assert f"search: the config with the best weights is {tmp_path / 'best.yaml'}" in said

    # The same command again has nothing to do; with more trials it goes on.
    pretended.clear()
    assert search("--trials=12", "--tuner=random")[0] == 0
    assert pretended == []
    assert search("--trials=14", "--tuner=random")[0] == 0
    assert [name for name, *_ in pretended] == ["12", "13"]
    assert table(folder / "trials.csv")[:12] == rows


def test_a_search_that_learns_comes_near_the_optimum_and_tries_nothing_twice(
    search, pretended, tmp_path
):
    code, _ = search("--trials=9", "--tuner=bayesian")
    assert code == 0
    alphas = np.array([alpha for _, alpha, *_ in pretended])
    assert alphas[0] == 0.01 and len(alphas) == 9
    assert np.abs(np.log10(alphas / 0.1)).min() < 0.1
    logs = np.sort(np.log(alphas))
    assert np.diff(logs).min() > 0.01


def test_the_applied_config_is_the_users_with_the_best_weights(
    search, pretended, tiny_recognition, parser_of, tmp_path
):
    applied = tmp_path / "configs" / "best.yaml"
    assert search("--trials=8", "--tuner=random", "--seed=3", "--apply", applied)[0] == 0
    done = [row for row in table(tmp_path / "search/trials.csv") if row["status"] == "completed"]
    best = max(done, key=lambda row: float(row[FIGURE]))
    flags = ["--out", "x", "--seed=3"]
    mine = read_config(parser_of(recognition), ["--config", str(tiny_recognition), *flags])
    found = read_config(parser_of(recognition), ["--config", str(applied), "--out", "x"])
    alpha = found.loss.adversarial_weight
    assert alpha == pytest.approx(float(best["adversarial_weight"]), rel=1e-5)
    mine.loss.adversarial_weight = alpha
    assert found == mine
    assert found.data.protocol == PROTOCOL
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
    whole, fold = (make_fold(source, protocol, 0) for protocol in (PROTOCOL, f"tuning:{PROTOCOL}"))
    trainers, validators, testers = (
        {name for _, name in source.people_of(splits)}
        for splits in (fold.train, fold.test, whole.test)
    )
    assert (len(trainers), len(validators), len(testers)) == (2, 1, 1)
    assert len(trainers | validators | testers) == 4
    for row in table(real / "trials.csv"):
        folder = real / "trials" / row["trial"]
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["fold"] == {"protocol": f"tuning:{PROTOCOL}", "index": 0}
        assert summary["exported"] is None
        assert float(row[FIGURE]) == pytest.approx(
            summary["metrics"]["f1"]["ours"]["mean"], rel=1e-5
        )
        trained = {face["subject"] for face in table(folder / "training_faces.csv")}
        assert trained == trainers
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


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trials=0"], '"trials": Not of type PositiveInt'),
        (["--range=1"], '"range": Not of type AboveOne'),
        (["--tuner=grid"], '"tuner": Expected a typing.Literal'),
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
    code, lines = search("--trials=1", "--range=10", "--tuner=bayesian")
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
    code, lines = search("--trials=4", "--tuner=random")
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
    assert search("--trials=3", "--tuner=random") == (1, ["error: No space left on device"])
    broken.clear()
    assert search("--trials=3", "--tuner=random")[0] == 0
    assert [name for name, *_ in pretended] == ["0", "1", "2"]


def test_a_worker_whose_chief_answers_no_more(search, free_port, monkeypatch):
    monkeypatch.setattr("keras_tuner.src.distribute.oracle_client.TIMEOUT", 0.2)
    for name, value in zip(VARIABLES, ("worker", "127.0.0.1", str(free_port)), strict=True):
        monkeypatch.setenv(name, value)
    code, lines = search("--trials=2")
    assert code == 1
    assert lines == [
        f"error: the chief at 127.0.0.1:{free_port} does not answer (DEADLINE_EXCEEDED); start it "
        "again, and this worker"
    ]
