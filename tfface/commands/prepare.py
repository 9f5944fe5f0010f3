"""`tfface prepare`: a data set as its owner delivers it, made ready for training."""

from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.startup import CommandError, load_tensorflow

_BUILDERS = Path(__file__).parents[1] / "data" / "datasets"

EXAMPLES = """\
examples:
  tfface prepare synthetic_faces --name frames_small
  tfface prepare image_folder --manual_dir ~/faces --name my_faces

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
        "Pictures without a face are counted and listed in a report.",
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
        "--data_dir",
        metavar="DIR",
        type=Path,
        help="where prepared sets live (default: TensorFlow Datasets' own folder)",
    )
    parser.add_argument(
        "--name", help="the set's variant; for image_folder the name to know it by from now on"
    )
    parser.add_argument("--overwrite", action="store_true", help="prepare anew what is there")
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Prepares the set; returns the exit code."""
    check_detector_options(args)
    folder = args.manual_dir
    if folder is not None and not folder.is_dir():
        found = "a file, not a folder" if folder.exists() else "no such folder"
        raise CommandError(f"--manual_dir {folder}: {found}", code=2)
    load_tensorflow()
    from tfface.data.datasets.prepare import RequestError, prepare

    try:
        prepare(
            args.dataset,
            manual_dir=args.manual_dir,
            data_dir=args.data_dir,
            config_name=args.name,
            detector=args.detector,
            detector_model=args.detector_model,
            overwrite=args.overwrite,
        )
    except RequestError as error:
        raise CommandError(error, code=2) from error
    except ValueError as error:  # of a list with several mistakes each has its line
        raise CommandError(*str(error).splitlines()) from error
    except OSError as error:
        raise CommandError(error) from error
    return 0
