"""`tfface magnify`: photos in, photos with magnified expressions and their classes out."""

import csv
import sys
from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.files import as_text, check_apart, check_out, output_names, say
from tfface.commands.models import add_model_option, check_model, load_predictor
from tfface.commands.photos import each_photo, faces_of, faces_text, photos_of, writing
from tfface.commands.startup import load_tensorflow
from tfface.serving.systems import NETWORKS

MODELS = Path("savedmodels/magnification")
TRAINING = (
    "`python training/magnification.py --config training/configs/magnification/quickstart.yaml`"
)
TABLE = "expressions.csv"
EXAMPLES = f"""\
examples:
  tfface magnify portrait.jpg -o magnified
  tfface magnify album -o magnified --model runs/weak/magnifier.keras

For each photo with a face there will be in DIR:
  <photo>_magnified.png      the photo, its expressions magnified and laid back in place
  <photo>_side_by_side.png   one row a face (the 12 largest): as it was, where and how much it was
                             changed, magnified, and each class's probability before and after
and of all photos together:
  {TABLE}            a row a face: file, face_id (from 0, the largest), confidence, success,
                             x, y, width, height (the box in pixels), class_before,
                             probability_before, class_after, probability_after, then two columns a
                             class. A photo without a face is one row with success 0.
Of a folder, every picture in it (not in folders below) is taken. A photo that cannot be read or has
no face is named, and the others go on; the exit code is 1 if none worked.
"""

# Faces of a photo that are drawn.
_MOST_FACES = 12


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "magnify",
        help="magnify the expressions of the faces of photos, and name them before and after",
        description="Finds every face of each photo, turns its weak expression into the peak of\n"
        "it, lays it back in its place, and says which expression the model sees\n"
        "before and after.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", type=Path, help="picture file, or folder of pictures"
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="DIR", type=Path, help="folder for the results"
    )
    add_model_option(parser, MODELS, NETWORKS["magnification"])
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Magnifies the faces of the photos; returns the exit code."""
    check_detector_options(args)
    check_model(args.model, MODELS, TRAINING)
    check_apart(args.out, args.photos, "magnified")
    photos = photos_of(args.photos)
    check_out(args.out)
    if sys.stderr.isatty():
        say("loading the model and the face detector")
    load_tensorflow()
    from tfface.serving.predictors.magnification import MagnificationPredictor

    predictor = load_predictor(MagnificationPredictor, args, MODELS)
    names = output_names(photos, args.out, ("_magnified.png", "_side_by_side.png"))
    rows = []

    def magnify_one(path, name):
        return _magnify_one(predictor, path, args.out / name, rows)

    try:
        return each_photo(photos, names, magnify_one, "magnified")
    finally:  # interrupted, too: the pictures that are there have their rows
        if rows:
            _write_table(args.out / TABLE, predictor.classes, rows)


def _magnify_one(predictor, path, stem, rows):
    """Magnifies one photo's faces; False, with a line that says why, if there are none."""
    result = faces_of(path, predictor)
    if result is None:
        return False
    if not result.faces:
        rows.append([as_text(path), "", "", 0, *[""] * (8 + 2 * len(predictor.classes))])
        return False
    photo, side_by_side = f"{stem}_magnified.png", f"{stem}_side_by_side.png"
    _write_pictures(result, predictor.classes, path.name, photo, side_by_side)
    rows += [_row(path, i, result, predictor.classes) for i in range(len(result.faces))]
    say(f"{path}: {faces_text(result.faces)}, {photo} {side_by_side}", sys.stdout)
    for i, face in enumerate(result.faces):
        x, y, width, height = (f"{value:.0f}" for value in face.box)
        before, after = (_named(p[i], predictor.classes) for p in (result.before, result.after))
        say(f"face {i} at {x},{y} {width}x{height}: {before} -> {after}", sys.stdout)
    return True


def _row(path, i, result, classes):
    """The table's row of a photo's face."""
    face, before, after = result.faces[i], result.before[i], result.after[i]
    likeliest = []
    for probabilities in (before, after):
        best = probabilities.argmax()
        likeliest += [classes[best], f"{probabilities[best]:.4f}"]
    return [
        *(as_text(path), i, f"{face.score:.2f}", 1),
        *(f"{value:.1f}" for value in face.box),
        *likeliest,
        *(f"{value:.4f}" for value in (*before, *after)),
    ]


def _named(probabilities, classes):
    best = probabilities.argmax()
    return f"{classes[best]} {probabilities[best]:.2f}"


def _write_table(path, classes, rows):
    from tfface.atomic import written_aside

    header = [
        *("file", "face_id", "confidence", "success", "x", "y", "width", "height"),
        *("class_before", "probability_before", "class_after", "probability_after"),
        *(f"{name}_{when}" for when in ("before", "after") for name in classes),
    ]
    with (
        writing(path),
        written_aside(path) as aside,
        open(aside, "w", encoding="utf-8", newline="") as stream,
    ):
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def _write_pictures(result, classes, title, photo, side_by_side):
    from tfface.data.photos import write_photo
    from tfface.plots.faces import change_bars

    faces = [
        (
            *(result.crops[i], result.heat_maps[i], result.magnified[i]),
            dict(zip(classes, zip(result.before[i], result.after[i], strict=True), strict=True)),
            f"Face {i}",
        )
        for i in range(min(len(result.faces), _MOST_FACES))
    ]
    with writing(photo):
        write_photo(photo, result.photo)
    with writing(side_by_side):
        change_bars(faces, side_by_side, title)
