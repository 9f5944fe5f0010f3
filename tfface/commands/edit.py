"""`tfface edit`: photos in, photos with action units switched in their faces out."""

import argparse
import re
import sys
from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.files import check_apart, check_out, output_names, say
from tfface.commands.models import add_model_option, check_model, load_predictor
from tfface.commands.photos import each_photo, faces_of, faces_text, photos_of, writing
from tfface.commands.startup import CommandError, load_tensorflow
from tfface.facs.expressions import PROTOTYPES
from tfface.serving.systems import NETWORKS

MODELS = Path("savedmodels/synthesis")
TRAINING = "`python training/synthesis.py --config training/configs/synthesis/quickstart.yaml`"
ENDINGS = ("_edited.png", "_side_by_side.png", "_edited.gif", "_strip.png")
EXAMPLES = """\
examples:
  tfface edit portrait.jpg --au 12=1 --au 4=0 -o edited
  tfface edit portrait.jpg --expression happiness -o edited
  tfface edit portrait.jpg --au 12=0..1 -o edited

A value is from 0, absent, to 1, present. An expression switches on the action units that make it,
of those that the model knows (neutral: all off), and leaves the others alone.
For each photo with a face there will be in DIR:
  <photo>_edited.png         the photo, its faces edited; pixels that nobody asked for as they were
  <photo>_side_by_side.png   one row a face: as it was, edited, and where it was changed
or, over a range (0..1, in --frames steps; several ranges go together):
  <photo>_edited.gif         the photo through the range and back, at most 800 pixels wide or high
  <photo>_strip.png          one row a face: as it was, and through the range
Of a folder, every picture in it (not in folders below) is taken. A photo that cannot be read or has
no face is named, and the others go on; the exit code is 1 if none worked.
"""

_MOST_FACES = 12  # of a photo that are drawn
_MOST_COLUMNS = 7  # of a strip
_LARGEST_SIDE = 800  # pixels of an animation


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "edit",
        help="switch action units in the faces of photos with a trained model",
        description="Finds every face of each photo and switches the action units that are\n"
        "named, each in its own region; all other pixels stay as they were.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", type=Path, help="picture file, or folder of pictures"
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="DIR", type=Path, help="folder for the results"
    )
    parser.add_argument(
        "--au",
        action="append",
        default=[],
        metavar="N=VALUE",
        type=_demand,
        help="an action unit and its value, 0 to 1, or a range as 0..1; may be repeated",
    )
    parser.add_argument(
        "--expression", choices=sorted(PROTOTYPES), help="switch on what makes this expression"
    )
    parser.add_argument(
        "--frames", metavar="K", type=_frames, default=9, help="steps of a range (default: 9)"
    )
    add_model_option(parser, MODELS, NETWORKS["synthesis"])
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Edits the faces of the photos; returns the exit code."""
    demands = _joined(args.au)
    if not demands and args.expression is None:
        raise CommandError("name what to switch: --au N=VALUE or --expression NAME", code=2)
    check_detector_options(args)
    check_model(args.model, MODELS, TRAINING)
    check_apart(args.out, args.photos, "edited")
    photos = photos_of(args.photos)
    check_out(args.out)
    if sys.stderr.isatty():
        say("loading the model and the face detector")
    load_tensorflow()
    from tfface.serving.predictors.synthesis import SynthesisPredictor

    predictor = load_predictor(SynthesisPredictor, args, MODELS)
    demands = _understood(demands, args.expression, predictor.action_units)
    names = output_names(photos, args.out, ENDINGS)
    ranges = any(first != last for first, last in demands.values())
    work = _animate_one if ranges else _edit_one

    def edit_one(path, name):
        return work(predictor, path, _steps(demands, args.frames), args.out / name)

    return each_photo(photos, names, edit_one, "edited")


def _demand(text):
    """`12=1` or `12=0..1` as (AU, (first, last))."""
    number = r"(\d+(?:\.\d+)?|\.\d+)"
    match = re.fullmatch(rf"(?:AU)?(\d+)={number}(?:\.\.{number})?", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"must be an action unit and a value or range, as 12=1 or 12=0..1; received: {text!r}"
        )
    first = float(match[2])
    last = first if match[3] is None else float(match[3])
    if not 0 <= first <= 1 or not 0 <= last <= 1:
        raise argparse.ArgumentTypeError(f"values must be from 0 to 1; received: {text!r}")
    return int(match[1]), (first, last)


def _frames(text):
    if not text.isdecimal() or not 2 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"must be a number from 2 to 100; received: {text!r}")
    return int(text)


def _joined(pairs):
    """The demands by AU; what is asked of one twice must be the same."""
    demands = {}
    for number, values in pairs:
        if demands.setdefault(number, values) != values:
            raise CommandError(
                f"--au: AU {number} cannot be both {_text(demands[number])} and {_text(values)}",
                code=2,
            )
    return demands


def _understood(demands, expression, known):
    """The demands of AUs and of an expression together, which must be such as the model knows."""
    if unknown := [number for number in demands if number not in known]:
        raise CommandError(
            f"--au: the model knows the AUs {', '.join(map(str, known))}; "
            f"received: {', '.join(map(str, unknown))}",
            code=2,
        )
    if expression is None:
        return demands
    value, wanted = (1.0, PROTOTYPES[expression]) if PROTOTYPES[expression] else (0.0, known)
    found = [number for number in wanted if number in known]
    if not found:
        raise CommandError(
            f"--expression {expression} is made of the AUs {', '.join(map(str, wanted))}, "
            f"of which the model knows none",
            code=2,
        )
    if left_out := sorted(set(wanted) - set(found)):
        say(f"--expression {expression}: the model does not know AU {_listed(left_out)} of it")
    for number in found:
        if demands.setdefault(number, (value, value)) != (value, value):
            raise CommandError(
                f"--au {number}={_text(demands[number])} and --expression {expression}, "
                f"which needs AU {number} at {value:g}, cannot both be",
                code=2,
            )
    return demands


def _listed(numbers):
    return ", ".join(map(str, numbers))


def _text(values):
    first, last = values
    return f"{first:g}" if first == last else f"{first:g}..{last:g}"


def _steps(demands, count):
    """The demands of each step of a range, {AU: value} each; one if nothing has a range."""
    if all(first == last for first, last in demands.values()):
        count = 1
    shares = [i / max(count - 1, 1) for i in range(count)]
    return [
        {number: first + share * (last - first) for number, (first, last) in demands.items()}
        for share in shares
    ]


def _edit_one(predictor, path, steps, stem):
    """Edits one photo; False, with a line that says why, if it cannot be."""
    from tfface.data.photos import write_photo
    from tfface.plots.heatmaps import heat_grid

    result = faces_of(path, lambda photo: predictor(photo, steps[0]))
    if result is None or not result.faces:
        return False
    photo, side_by_side = f"{stem}_edited.png", f"{stem}_side_by_side.png"
    with writing(photo):
        write_photo(photo, result.photo)
    rows = [
        [face, edited, (face, abs(edited - face).mean(axis=-1))]
        for face, edited in zip(result.crops[:_MOST_FACES], result.edited, strict=False)
    ]
    with writing(side_by_side):
        titles = ["Photo", _title(steps[0]), "Change"]
        heat_grid(rows, titles, side_by_side, label="change of a pixel, mean over colors")
    say(f"{path}: {faces_text(result.faces)}, {photo} {side_by_side}", sys.stdout)
    return True


def _animate_one(predictor, path, steps, stem):
    """Takes one photo through a range; False, with a line that says why, if it cannot be."""
    from tfface.data.photos import write_animation
    from tfface.plots.images import image_grid

    found = faces_of(path, predictor.find)
    if found is None or not found.faces:
        return False
    results = [predictor.edit(found, changes) for changes in steps]
    animation, strip = f"{stem}_edited.gif", f"{stem}_strip.png"
    frames = [_shrunk(result.photo) for result in results]
    with writing(animation):
        write_animation(animation, frames + frames[-2:0:-1])
    last = len(steps) - 1
    shown = sorted({round(i * last / (_MOST_COLUMNS - 1)) for i in range(_MOST_COLUMNS)})
    columns = [found.crops[:_MOST_FACES], *(results[i].edited[:_MOST_FACES] for i in shown)]
    with writing(strip):
        titles = ["Photo", *(_title(steps[i]) for i in shown)]
        image_grid(list(zip(*columns, strict=True)), titles, strip)
    say(f"{path}: {faces_text(found.faces)}, {animation} {strip}", sys.stdout)
    return True


def _title(changes):
    return ", ".join(f"AU{number} {value:.2g}" for number, value in sorted(changes.items()))


def _shrunk(photo):
    """A photo of at most `_LARGEST_SIDE` pixels a side."""
    import cv2

    scale = _LARGEST_SIDE / max(photo.shape[:2])
    if scale >= 1:
        return photo
    height, width = (max(1, round(scale * side)) for side in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
