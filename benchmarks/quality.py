"""What the papers claim, measured: `python -m benchmarks quality --system recognition --seeds 3`.

Trains with the training scripts themselves, each seed with a draw of people, weights and missing
labels of its own, and prints mean and spread beside the paper's claim. Stopped, it goes on where it
was; finished trainings are not done again.
"""

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks import devices
from benchmarks.charts import Bars, draw_bars
from benchmarks.measure import table
from benchmarks.results import save
from tfface.plots.charts import curves

ROOT = Path(__file__).parents[1]

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9)
PAPER_F1 = {0.0: (0.633, 0.624), 0.1: (0.626, None), 0.5: (0.606, None)}
"""Ours and O-wlc on BP4D, three folds (Table 1, Sec. 4.2.1); Fig. 4 gives the others unnumbered."""
PAPER_CONDITIONAL = (0.054, 0.056)
"""Mean difference of conditional probabilities on BP4D at a missing rate of 0.5 (Sec. 4.2.2)."""


def recognition(seeds, out, options):
    """F1 and label distributions against the missing rate, with D (ours) and without (O-wlc)."""
    runs = []
    for seed in range(seeds):
        folder = out / f"seed_{seed}"
        rates = ",".join(map(str, RATES))
        train(
            "recognition",
            folder,
            seed,
            ["--variant", "both", "--missing_rates", f"[{rates}]", *options],
        )
        points = json.loads((folder / "summary.json").read_text())["points"]
        runs.append({point["missing_rate"]: point["metrics"] for point in points})

    def values(figure, rate, method):
        found = [run[rate][figure][method] for run in runs]
        return [value["mean"] if isinstance(value, dict) else value for value in found]

    header = ["missing rate", "F1 ours", "F1 O-wlc", "ours - O-wlc", "ours above", "paper, BP4D"]
    header += [
        f"{name} {method}" for name in ("marginal", "conditional") for method in ("ours", "O-wlc")
    ]
    rows = []
    for rate in RATES:
        ours, plain = values("f1", rate, "ours"), values("f1", rate, "o_wlc")
        gains = [a - b for a, b in zip(ours, plain, strict=True)]
        row = [f"{rate:g}", show(ours), show(plain), show(gains)]
        row += [f"{sum(gain > 0 for gain in gains)} of {seeds}"]
        row += ["; ".join(map(str, (x for x in PAPER_F1.get(rate, ()) if x))) or "-"]
        for figure in ("marginal_difference", "conditional_difference"):
            row += [show(values(figure, rate, method)) for method in ("ours", "o_wlc")]
        rows.append(row)
    print(table(header, rows))
    print(
        "paper, BP4D at 0.5: conditional difference "
        f"{PAPER_CONDITIONAL[0]} ours, {PAPER_CONDITIONAL[1]} O-wlc"
    )
    best = [run[0.0]["best_constant_f1"]["mean"] for run in runs]
    print(f"best constant answer: F1 {show(best)}")

    def draw(figure, label, path):
        series = {
            title: [[values(figure, rate, method)[i] for rate in RATES] for i in range(seeds)]
            for title, method in (("Ours", "ours"), ("O-wlc", "o_wlc"))
        }
        curves(RATES, series, path, "share of faces without labels", label)

    label = "difference of conditional probabilities"
    draw("conditional_difference", label, out / "conditional_difference.png")
    content = {"seeds": seeds, "header": header, "rows": rows}
    save(
        out / "quality.json", "quality", content, partial(draw, "f1", "F1, mean over action units")
    )


BASENETS = {"alexnet": (), "vgg11": ("--pairs.size", "36", "--pairs.crop", "32")}
"""What is measured: AlexNet on the quickstart's 64 pixels, VGG11, far slower there, on 32."""
MODES = {"cnn": "CNN", "dcgan": "DCGAN", "1v2": "1V2", "2v2": "2V2"}
PAPER_ACCURACY = {
    "alexnet": (62.61, 63.29, 63.74, 67.12),
    "vgg11": (64.64, 65.77, 66.22, 68.02),
    "vgg13": (64.86, 66.67, 67.34, 70.05),
    "vgg16": (63.74, 64.86, 65.55, 68.69),
    "vgg19": (61.26, 62.61, 63.74, 64.19),
    "resnet18": (59.91, 60.14, 60.81, 62.61),
    "resnet34": (58.58, 59.47, 59.92, 62.21),
    "resnet50": (57.85, 58.32, 58.25, 61.89),
}
"""Table 1 of its paper: accuracy in percent on CK+ and Oulu-CASIA mixed, five folds."""


def magnification(seeds, out, options):
    """Accuracy of each mode and BaseNet, each seed with another of five folds of the people."""
    runs = {backbone: [] for backbone in BASENETS}
    for seed, (backbone, own) in itertools.product(range(seeds), BASENETS.items()):
        folder = out / backbone / f"seed_{seed}"
        every = ["--variant", "all", "--classifier.backbone", backbone, *own]
        train("magnification", folder, seed, ["--data.protocol", "kfold:5", *every, *options])
        runs[backbone].append(json.loads((folder / "summary.json").read_text())["metrics"])

    def values(backbone, figure, mode):
        return [run[figure][mode] for run in runs[backbone]]

    header = ["BaseNet", *MODES.values(), "weak faces, C of peaks", "2V2 above CNN", "above DCGAN"]
    header += ["paper"]
    rows, nearness = [], []
    for backbone in BASENETS:
        found = {mode: values(backbone, "accuracy", mode) for mode in MODES}
        row = [backbone, *(show(found[mode]) for mode in MODES)]
        row += [show(values(backbone, "accuracy_weak", "2v2"))]
        for mode in ("cnn", "dcgan"):
            above = sum(a > b for a, b in zip(found["2v2"], found[mode], strict=True))
            row.append(f"{above} of {seeds}")
        rows.append([*row, " ".join(f"{value:.1f}" for value in PAPER_ACCURACY[backbone])])
        for mode in list(MODES)[1:]:
            pairs = [
                show(values(backbone, f"{figure}{suffix}", mode))
                for figure in ("psnr", "feature_distance")
                for suffix in ("", "_weak")
            ]
            nearness.append([backbone, MODES[mode], *pairs])
    print(table(header, rows))
    titles = ["BaseNet", "mode", "PSNR (dB)", "weak face", "feature distance", "weak face"]
    print(table(titles, nearness))
    content = {"seeds": seeds, "header": header, "rows": rows}
    content["nearness"] = {"header": titles, "rows": nearness}
    panels = [
        panel(f"{name}: accuracy", {t: values(name, "accuracy", m) for m, t in MODES.items()})
        for name in BASENETS
    ]
    save(
        out / "quality.json", "quality", content, partial(draw_bars, panels, title="Magnification")
    )


PAPER_SYNTHESIS = {"F1": (69.3, 61.7, 59.9, 53.3), "accuracy": (79.8, 72.7, 77.9, 71.7)}
"""Averages of its Table 1 in percent: by OpenFace real and synthesis, then by JAA-Net."""


def synthesis(seeds, out, options):
    """Real against synthetic faces, side effects, and what synthetic faces give a recognizer.

    Each seed has a draw of people, networks and faces of its own; half of the faces of the second
    recognizer's training get one of the three rarest AUs.
    """
    runs = []
    for seed in range(seeds):
        folder = out / f"seed_{seed}"
        train("synthesis", folder, seed, ["--enrichment.share", "0.5", *options])
        runs.append(json.loads((folder / "summary.json").read_text())["metrics"])

    header = ["figure", "real", "synthesis", "gap", "unedited", "paper: real, synthesis"]
    rows, panels = [], []
    for figure, key in (("F1", "f1"), ("accuracy", "accuracy")):
        of = {name: [run[key][name] for run in runs] for name in ("real", "synthesis", "gap")}
        of["unedited"] = [run["unedited"][key] for run in runs]
        a, b, c, d = PAPER_SYNTHESIS[figure]
        rows.append([figure, *map(show, of.values()), f"{a}, {b} (OpenFace); {c}, {d} (JAA-Net)"])
        panels.append(panel(figure, of))
    print(table(header, rows))
    print(f"largest change of an untouched pixel: {max(r['untouched_max_change'] for r in runs):g}")

    changes = ["AU", "own probability raised by", "largest change elsewhere", "own above elsewhere"]
    units, effects = list(runs[0]["per_au"]), []
    for unit in units:
        own, beside = (
            [run["per_au"][unit][key] for run in runs] for key in ("change", "change_elsewhere")
        )
        above = sum(
            a is not None and b is not None and a > b for a, b in zip(own, beside, strict=True)
        )
        effects.append([unit, show(own), show(beside), f"{above} of {seeds}"])
    print(table(changes, effects))

    titles = ["seed", "enriched AUs", "F1 of these without", "with", "F1 of all without", "with"]
    gained = []
    for seed, run in enumerate(runs):
        found = run["enrichment"]
        row = [str(seed), ", ".join(map(str, found["action_units"]))]
        for key in ("rare_f1", "f1"):
            row += [show([found[name][key]]) for name in ("without", "with")]
        gained.append(row)
    means = [
        show([run["enrichment"][name][key] for run in runs])
        for key in ("rare_f1", "f1")
        for name in ("without", "with")
    ]
    gained.append(["all", "", *means])
    print(table(titles, gained))
    content = {"seeds": seeds, "header": header, "rows": rows}
    content["changes"] = {"header": changes, "rows": effects}
    content["enrichment"] = {"header": titles, "rows": gained}
    save(out / "quality.json", "quality", content, partial(draw_bars, panels, title="Synthesis"))


PAPER_REGENERATION = {
    "CK+": (89.50, 96.57),
    "Oulu-CASIA": (82.33, 88.92),
    "BU-3DFE": (73.2, 76.83),
    "BU-4DFE": (76.45, 89.55),
}
"""Tables I to IV of its paper: accuracy in percent of the CNN and of IA-gen, ten folds."""


def regeneration(seeds, out, options):
    """The CNN against IA-gen, and what regenerated faces are, each seed with another fold."""
    runs = []
    for seed in range(seeds):
        folder = out / f"seed_{seed}"
        train("regeneration", folder, seed, ["--data.protocol", "kfold:5", *options])
        runs.append(json.loads((folder / "summary.json").read_text())["metrics"])

    methods = {"cnn": "CNN (baseline)", "ia_gen": "IA-gen"}
    found = {method: [run["accuracy"][method] for run in runs] for method in methods}
    gains = [ours - cnn for cnn, ours in zip(found["cnn"], found["ia_gen"], strict=True)]
    header = ["method", "accuracy", *(f"paper, {name}" for name in PAPER_REGENERATION)]
    rows = [
        [title, show(found[method]), *(f"{pair[i]:.2f}" for pair in PAPER_REGENERATION.values())]
        for i, (method, title) in enumerate(methods.items())
    ]
    differences = [f"{ours - cnn:.2f}" for cnn, ours in PAPER_REGENERATION.values()]
    rows.append(["IA-gen - CNN", show(gains), *differences])
    print(table(header, rows))
    print(f"IA-gen above the CNN: {sum(gain > 0 for gain in gains)} of {seeds}")
    titles = {
        "as_intended": "taken by the CNN for what it was made for",
        "chance": "the same by chance",
        "nearest": "nearest to its own person",
        "persons": "persons to choose from",
        "nearer": "nearer to its own person than to another",
        "psnr": "PSNR to the real peak (dB)",
        "psnr_input": "of the face as it was",
    }
    faces = [
        [title, show([run["regenerated"][name] for run in runs])] for name, title in titles.items()
    ]
    print(table(["regenerated faces", "share or value"], faces))
    content = {"seeds": seeds, "header": header, "rows": rows, "faces": faces, "runs": runs}
    panels = [panel("accuracy", {title: found[method] for method, title in methods.items()})]
    save(out / "quality.json", "quality", content, partial(draw_bars, panels, title="Regeneration"))


SYSTEMS = {
    "magnification": magnification,
    "recognition": recognition,
    "regeneration": regeneration,
    "synthesis": synthesis,
}


def train(system, folder, seed, options):
    """One run of a training script with the system's quickstart and these options."""
    command = [
        sys.executable,
        str(ROOT / "training" / f"{system}.py"),
        "--config",
        str(ROOT / "training/configs" / system / "quickstart.yaml"),
        "--out",
        str(folder),
        "--seed",
        str(seed),
        "--data.fold",
        str(seed),
        "--export_dir",
        "null",
        *options,
    ]
    done = subprocess.run(command)
    if done.returncode:  # it has said why
        sys.exit(done.returncode)


def show(values):
    """Mean and spread (one standard deviation over seeds) as text; "-" where one has no value."""
    if None in values:
        return "-"
    mean = statistics.fmean(values)
    return f"{mean:.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def panel(title, values):
    """A panel of bars: dict from a name to the values of all seeds."""
    means = {name: statistics.fmean(v) if None not in v else math.nan for name, v in values.items()}
    texts = {name: show(each) for name, each in values.items()}
    return Bars(title, "mean over seeds", means, texts)


def main(arguments=None):
    """The command line; options it does not know go to the training script."""
    parser = argparse.ArgumentParser(
        prog="benchmarks quality", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--system", choices=sorted(SYSTEMS), required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/quality"),
        help="folder of the trainings, of quality.json and of quality.png (default: %(default)s)",
    )
    devices.add_device(parser)
    args, options = parser.parse_known_args(arguments)
    if args.seeds < 1:
        parser.error("--seeds must be at least 1")
    devices.choose(args.device)
    SYSTEMS[args.system](args.seeds, args.out / args.system, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
