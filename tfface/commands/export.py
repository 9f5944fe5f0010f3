"""`tfface export`: a training run's model, ready to serve or to put on a phone."""

import argparse
import contextlib
import json
from pathlib import Path

from tfface.commands.startup import CommandError, load_tensorflow, quiet_stderr
from tfface.serving.runs import read_run
from tfface.serving.systems import NETWORKS

FORMATS = ("savedmodel", "litert")

EXAMPLES = """\
examples:
  tfface export restoration --run runs/quickstart/restoration
  tfface export recognition --run runs/action_units --format savedmodel,litert

savedmodel  a new version in DIR/SYSTEM/, as TensorFlow Serving reads it
litert      SYSTEM_float32.tflite, _float16, _int8_dynamic and _int8 in the run's folder litert/;
            int8 is calibrated on faces that the run has trained on, from the data in its config
"""


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "export",
        help="export a training run's model (SavedModel, LiteRT)",
        description="Exports the model of a training run.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "system", metavar="SYSTEM", choices=NETWORKS, help=f"one of {', '.join(NETWORKS)}"
    )
    parser.add_argument(
        "--run", required=True, dest="folder", metavar="DIR", type=Path, help="the run's folder"
    )
    parser.add_argument(
        "--format",
        metavar="FORMATS",
        dest="formats",
        type=_formats,
        default=("savedmodel",),
        help="savedmodel, litert, or both with a comma between (default: savedmodel)",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("savedmodels"),
        help="where SavedModels go (default: savedmodels)",
    )
    parser.set_defaults(run=run)


def run(args):
    """Exports the run's model; returns the exit code."""
    path = _network_file(args.system, args.folder)
    load_tensorflow()
    from tfface.serving.savedmodel import export_savedmodel
    from tfface.serving.systems import load_servable

    try:
        servable = load_servable(args.system, path)
        if "savedmodel" in args.formats:
            print("exporting the SavedModel", flush=True)
            with quiet_stderr():
                version = export_savedmodel(servable, args.out / args.system, _card(args.folder))
            print(version, flush=True)
        if "litert" in args.formats:
            _export_litert(servable, args.folder)
    except (ValueError, OSError) as error:
        raise CommandError(error) from error
    return 0


def _export_litert(servable, folder):
    """Writes every precision; int8 comes last, since it needs the run's data as well."""
    from tfface.serving.calibration import open_calibration
    from tfface.serving.litert import PRECISIONS, export_litert, lite_archive

    with contextlib.ExitStack() as stack:
        with quiet_stderr():
            archive = stack.enter_context(lite_archive(servable))
        for precision in PRECISIONS:
            print(f"exporting LiteRT {precision}", flush=True)
            file = folder / "litert" / f"{servable.system}_{precision}.tflite"
            with quiet_stderr():
                faces = open_calibration(servable, folder) if precision == "int8" else None
                export_litert(servable, file, precision, faces, archive)
            print(file, flush=True)


def _network_file(system, folder):
    """The file with a run's network; CommandError where the run is another's, or has none yet."""
    path, config = folder / NETWORKS[system], None
    if (folder / "config.yaml").exists():
        try:
            config = read_run(folder)
        except ValueError as error:
            raise CommandError(f"--run {folder}: {error}", code=2) from error
        if config["system"] != system:
            raise CommandError(
                f"--run {folder}: holds a run of {config['system']}, not of {system}", code=2
            )
    if path.is_file():
        return path
    if config is None:
        reason = f"must be a training run with a {path.name} in it"
    elif (folder / "parts").is_dir():
        reason = "holds a series of runs; name one of its parts"
    elif (folder / "summary.json").is_file():
        reason = f"is a finished run that made no {path.name}"
    else:
        reason = f"is not finished, there is no {path.name} yet; run its training command again"
    raise CommandError(f"--run {folder}: {reason}", code=2)


def _formats(text):
    formats = tuple(part.strip() for part in text.split(","))
    unknown = [part for part in formats if part not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"must be of {', '.join(FORMATS)}, with commas between; received: {text!r}"
        )
    return formats


def _card(folder):
    """What the run says of itself, if it is finished, for the exported model's card."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {"run": str(folder)}
    kept = ("dataset", "variant", "steps", "seed", "metrics")
    return {"run": str(folder), "training": {k: summary[k] for k in kept if k in summary}}
