"""`tfface regenerate`: photos in, each face's expressions and its class out."""

import csv
import sys
from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.files import as_text, check_apart, check_out, output_names, say
from tfface.commands.models import add_model_option, check_model, load_predictor
from tfface.commands.photos import each_photo, faces_of, faces_text, photos_of, writing
from tfface.commands.startup import load_tensorflow
from tfface.serving.systems import NETWORKS

MODELS = Path("savedmodels/regeneration")
TRAINING = (
    "`python training/regeneration.py --config training/configs/regeneration/quickstart.yaml`"
)
TABLE = "expressions.csv"
EXAMPLES = f"""\
examples:
  tfface regenerate portrait.jpg -o expressions
  tfface regenerate album -o expressions --model runs/mine/regenerator.keras

For each photo with a face there will be in DIR:
  <photo>_expressions.png    one row a face (the 12 largest): as it is, then with each expression,
                             and below each how far from it the face is; the nearest is framed
and of all photos together:
  {TABLE}            a row a face: file, face_id (from 0, the largest), confidence, success,
                             x, y, width, height (the box in pixels), class (the nearest), class_cnn
                             (the CNN by itself), then a column a class with the distance, and one
                             with the CNN's probability. A photo without a face is one row with
                             success 0.
Of a folder, every picture in it (not in folders below) is taken. A photo that cannot be read or has
no face is named, and the others go on; the exit code is 1 if none worked.
"""

# Faces of a photo that are drawn.
_MOST_FACES = 12


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "regenerate",
        help="show the faces of photos with every expression, and name theirs by the nearest",
        description="Finds every face of each photo, makes it show each expression in turn, and\n"
        "names its own: that of the made face which is nearest to it.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", type=Path, help="picture file, or folder of pictures"
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="DIR", type=Path, help="folder for the results"
    )
    add_model_option(parser, MODELS, NETWORKS["regeneration"])
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Regenerates the expressions of the photos' faces; returns the exit code."""
    check_detector_options(args)
    check_model(args.model, MODELS, TRAINING)
    check_apart(args.out, args.photos, "regenerated")
    photos = photos_of(args.photos)
    check_out(args.out)
    if sys.stderr.isatty():
        say("loading the model and the face detector")
    load_tensorflow()
    from tfface.serving.predictors.regeneration import RegenerationPredictor

    predictor = load_predictor(RegenerationPredictor, args, MODELS)
    names = output_names(photos, args.out, ("_expressions.png",))
    rows = []

    def regenerate_one(path, name):
        return _regenerate_one(predictor, path, args.out / f"{name}_expressions.png", rows)

    try:
        return each_photo(photos, names, regenerate_one, "regenerated")
    finally:  # interrupted, too: the pictures that are there have their rows
        if rows:
            _write_table(args.out / TABLE, predictor.classes, rows)


def _regenerate_one(predictor, path, sheet, rows):
    """Regenerates one photo's faces; False, with a line that says why, if there are none."""
    result, classes = faces_of(path, predictor), predictor.classes
    if result is None:
        return False
    if not result.faces:
        rows.append([as_text(path), "", "", 0, *[""] * (6 + 2 * len(classes))])
        return False
    _draw(result, classes, path.name, sheet)
    rows += [_row(path, i, result, classes) for i in range(len(result.faces))]
    say(f"{path}: {faces_text(result.faces)}, {sheet}", sys.stdout)
    for i, face in enumerate(result.faces):
        x, y, width, height = (f"{value:.0f}" for value in face.box)
        distances = zip(classes, result.distances[i], strict=True)
        nearest = ", ".join(f"{name} {d:.2f}" for name, d in sorted(distances, key=lambda p: p[1]))
        say(f"face {i} at {x},{y} {width}x{height}: {nearest}", sys.stdout)
    return True


def _row(path, i, result, classes):
    """The table's row of a photo's face."""
    face, probabilities = result.faces[i], result.probabilities[i]
    return [
        *(as_text(path), i, f"{face.score:.2f}", 1),
        *(f"{value:.1f}" for value in face.box),
        *(classes[result.class_ids[i]], classes[probabilities.argmax()]),
        *(f"{value:.4f}" for value in (*result.distances[i], *probabilities)),
    ]


def _write_table(path, classes, rows):
    from tfface.atomic import written_aside

    header = [
        *("file", "face_id", "confidence", "success", "x", "y", "width", "height"),
        *("class", "class_cnn"),
        *(f"{name}_{what}" for what in ("distance", "probability") for name in classes),
    ]
    with (
        writing(path),
        written_aside(path) as aside,
        open(aside, "w", encoding="utf-8", newline="") as stream,
    ):
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def _draw(result, classes, title, path):
    from tfface.plots.sheets import expression_sheet

    rows = [
        {
            "face": result.crops[i],
            "made": list(result.regenerated[i]),
            "captions": [f"{distance:.2f}" for distance in result.distances[i]],
            "chosen": int(result.class_ids[i]),
            "title": f"Face {i}",
        }
        for i in range(min(len(result.faces), _MOST_FACES))
    ]
    with writing(path):
        expression_sheet(rows, classes, path, title=title)
