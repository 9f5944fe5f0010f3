"""`tfface prepare`: a data set as its owner delivers it, made ready for training."""

from pathlib import Path

import numpy as np

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.startup import CommandError, load_tensorflow

_BUILDERS = Path(__file__).parents[1] / "data" / "datasets"

EXAMPLES = """\
examples:
  tfface prepare synthetic_faces --name frames_small
  tfface prepare image_folder --manual_dir ~/faces --name my_faces
  tfface prepare bp4d --check ~/BP4D
  tfface prepare bp4d --manual_dir ~/BP4D

The papers' data sets come from their owners alone; each builder's README.md (in
tfface/data/datasets/NAME) says where to ask for the data and what must lie where. `--check` looks
at a folder before hours are spent, and says what is missing.

image_folder takes any folder of pictures with a labels.csv in OpenFace's column names: path,
subject; optional sequence, frame, phase, expression, AU01_c (1, 0 or empty), AU01_r (0 to 5 or
empty), x_0 ... x_67, y_0 ... y_67. Train on it with --data.dataset image_folder/my_faces.
"""


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "prepare",
        help="make a data set ready for training",
        description="Aligns every face of a data set and writes the records that training reads.\n"
        "Pictures without a face are counted and listed in a report (report.json, with bar charts\n"
        "of the labels, beside the records).",
        epilog=EXAMPLES,
        **options,
    )
    # Listed from the folders: asking the builders themselves would load TensorFlow for `--help`.
    names = sorted(file.parent.name for file in _BUILDERS.glob("*/*_dataset_builder.py"))
    parser.add_argument("dataset", metavar="NAME", choices=names, help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--manual_dir", metavar="DIR", type=Path, help="the set as its owner delivered it"
    )
    parser.add_argument(
        "--check",
        metavar="DIR",
        type=Path,
        help="only look at this folder, and say what is there and what is missing",
    )
    parser.add_argument(
        "--data_dir",
        metavar="DIR",
        type=Path,
        help="where prepared sets live (default: TensorFlow Datasets' own folder)",
    )
    parser.add_argument(
        "--name", help="the set's variant; for image_folder the name to know it by from now on"
    )
    parser.add_argument("--overwrite", action="store_true", help="prepare anew what is there")
    parser.add_argument(
        "--workers", metavar="N", type=int, help="pictures worked on at once (default: one a core)"
    )
    parser.add_argument(
        "--beam_pipeline_options",
        metavar="OPTIONS",
        help="spread the work over a runner of Apache Beam, as in `tfds build`: "
        "runner=DirectRunner,direct_num_workers=4",
    )
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Prepares the set, or looks at it; returns the exit code."""
    check_detector_options(args)
    _check_options(args)
    load_tensorflow()
    from tfface.data.datasets.request import RequestError

    try:
        return _look(args) if args.check is not None else _prepare(args)
    except RequestError as error:
        raise CommandError(error, code=2) from error
    except ValueError as error:  # of a list with several mistakes each has its line
        raise CommandError(*str(error).splitlines()) from error
    except OSError as error:
        raise CommandError(error) from error


def _check_options(args):
    if args.check is not None and args.manual_dir is not None:
        raise CommandError("--check DIR and --manual_dir DIR: give one of them", code=2)
    for name in ("manual_dir", "check"):
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            found = "a file, not a folder" if folder.exists() else "no such folder"
            raise CommandError(f"--{name} {folder}: {found}", code=2)
    if args.workers is not None and args.workers < 1:
        raise CommandError(f"--workers {args.workers}: must be at least 1", code=2)
    if args.workers is not None and args.beam_pipeline_options is not None:
        raise CommandError(
            "--workers N and --beam_pipeline_options: the runner has workers of its own", code=2
        )


def _prepare(args):
    from tfface.data.datasets.prepare import prepare

    report = prepare(
        args.dataset,
        manual_dir=args.manual_dir,
        data_dir=args.data_dir,
        config_name=args.name,
        detector=args.detector,
        detector_model=args.detector_model,
        overwrite=args.overwrite,
        workers=args.workers,
        beam_pipeline_options=args.beam_pipeline_options,
    )
    _draw(report)
    return 0


def _draw(report):
    """Bar charts of a report's labels beside it, unless they are there."""
    from tfface.plots.bars import label_distribution, paired_bars

    folder, title = Path(report["directory"]), f"{report['dataset']}/{report['config']}"
    units, picture = report["action_units"], folder / "action_units.png"
    if units and not picture.exists():
        labels = [
            np.repeat([1, 0, np.nan], [unit["present"], unit["absent"], unit["unknown"]])
            for unit in units.values()
        ]
        label_distribution({title: np.stack(labels, axis=1)}, list(units), picture)
    classes = {name: count for name, count in report["expressions"].items() if count}
    picture = folder / "expressions.png"
    if len(report["expressions"]) > 1 and not picture.exists():
        paired_bars(list(classes), {"faces": list(classes.values())}, picture, title, "faces")


def _look(args):
    """Says what a delivered folder holds; 1 if something is missing or cannot be read."""
    from tfface.data.datasets.checking import look_at

    found = look_at(args.dataset, args.check, args.name)
    print(
        f"{args.dataset}: {found.subjects} subjects, {found.sequences} sequences, "
        f"{found.frames} pictures to take faces from, {found.with_landmarks} of them with "
        f"landmarks; {found.without_labels} pictures without labels are left out"
    )
    print(f"{args.dataset}: {found.opened} pictures opened, {len(found.unreadable)} unreadable")
    for line in (*found.missing, *found.unreadable):
        print(f"{args.dataset}: {line}")
    print(f"{args.dataset}: {'nothing is missing' if found.whole else 'see the lines above'}")
    return 0 if found.whole else 1
