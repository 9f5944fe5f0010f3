"""`tfface recognize`: photos and videos in, the action units of every face out."""

import argparse
import os
import sys
from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.files import check_apart, check_out, files_of, say
from tfface.commands.models import add_model_option, check_model, load_predictor
from tfface.commands.startup import CommandError, load_tensorflow
from tfface.serving.systems import NETWORKS

MODELS = Path("savedmodels/recognition")
TRAINING = "`python training/recognition.py --config training/configs/recognition/quickstart.yaml`"
EXAMPLES = """\
examples:
  tfface recognize portrait.jpg
  tfface recognize interview.mp4 --format csv > interview.csv
  tfface recognize album clip.mov -o found --plot
  tfface recognize talk.mp4 -o found --format json --detect-every 5

Of a folder, every picture and video in it (not in folders below) is taken.
table  photo: a row a face, each AU's probability, * where it is present; box is left,top
       widthxheight in pixels. Video: of the faces seen longest, the share of their frames in which
       each AU was present, and its mean probability.
csv    OpenFace's names: frame (from 1), face_id (from 0; one face keeps its number through a
       video), timestamp (seconds), confidence, success, x, y, width, height (the box in pixels),
       then AU01_c ... (1 present, 0 not) and AU01_p ... (probability). There is no AU01_r: this
       recognizer knows no intensities. Where more than one file is read, a first column names it.
       A photo or frame without a face is one row with success 0 and nothing known.
json   an object a file with the same; an array of them where more than one file is read.

With -o there will be in DIR, for each file:
  <file>.csv or .json   csv, if --format does not say json
  <file>.png            with --plot, if there is a face: of a photo the faces (the 12 largest)
                        beside their AUs, of a video the AUs of the 4 faces seen longest over time
and on the terminal the table, if --format does not say otherwise.

A file that cannot be read is named, and the others go on; the exit code is 1 if none could be. That
there is no face is an answer too: it is said, and the exit code is 0. Of a video that is damaged or
cut off, what can be read is answered, and a line says how many frames are missing.
"""


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "recognize",
        help="recognize the action units of the faces of photos and videos",
        description="Finds every face of each photo and video, and says how likely each action\n"
        "unit is that the model knows.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        type=Path,
        help="picture file, video file, or folder of pictures and videos",
    )
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="what is written (default: table)",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        type=Path,
        help="folder for a file of results for each file that is read (default: all results go to "
        "the standard output)",
    )
    parser.add_argument(
        "--plot", action="store_true", help="draw a picture of each result too; needs -o"
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=_probability,
        default=0.5,
        help="probability from which on an AU counts as present (default: 0.5)",
    )
    parser.add_argument(
        "--detect-every",
        metavar="N",
        type=_at_least_one,
        default=1,
        help="search every Nth frame of a video for faces and follow them in between, which is "
        "faster (default: 1)",
    )
    add_model_option(parser, MODELS, NETWORKS["recognition"])
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Recognizes the faces of all files; returns the exit code."""
    check_detector_options(args)
    if args.plot and args.out is None:
        raise CommandError("--plot needs a folder for its pictures: -o DIR", code=2)
    check_model(args.model, MODELS, TRAINING)
    if args.plot:
        check_apart(args.out, args.paths, "recognized")
    files = _files(args.paths)
    if args.out is not None:
        check_out(args.out)
    if sys.stderr.isatty():
        say("loading the model and the face detector")
    load_tensorflow()
    from tfface.commands.recognition.job import Job
    from tfface.serving.predictors.recognition import RecognitionPredictor

    predictor = load_predictor(RecognitionPredictor, args, MODELS)
    several = len(files) > 1 or os.path.isdir(args.paths[0])
    try:
        done = Job(predictor, args, files, several).run()
        if len(files) > 1 and (args.out is not None or args.format == "table"):
            print(f"{done} of {len(files)} files recognized")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # what cannot be read is no OSError
        where = "standard output" if args.out is None else f"-o {args.out}"
        raise CommandError(f"{where}: cannot be written ({error.strerror or error})") from error
    return 0 if done else 1


def _files(paths):
    from tfface.data.photos import is_picture_name
    from tfface.data.videos import is_video_name

    return files_of(
        paths,
        lambda file: is_picture_name(file) or is_video_name(file),
        "pictures and videos",
    )


def _probability(text):
    return _number(float, text, "a number above 0 and below 1", lambda value: 0 < value < 1)


def _at_least_one(text):
    return _number(int, text, "a whole number of at least 1", lambda value: value >= 1)


def _number(kind, text, rule, holds):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not holds(value):
        raise argparse.ArgumentTypeError(f"must be {rule}. Received: {text}")
    return value
