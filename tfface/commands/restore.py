"""`tfface restore`: photos in, photos with restored faces out."""

import sys
from pathlib import Path

from tfface.commands.detecting import add_detector_options, check_detector_options
from tfface.commands.files import check_apart, check_out, output_names, say
from tfface.commands.models import add_model_option, check_model, load_predictor
from tfface.commands.photos import each_photo, faces_of, faces_text, photos_of, writing
from tfface.commands.startup import CommandError, load_tensorflow
from tfface.serving.systems import NETWORKS

MODELS = Path("savedmodels/restoration")

EXAMPLES = """\
examples:
  tfface restore portrait.jpg -o restored
  tfface restore album -o restored --model runs/quickstart/restoration/generator.keras
  tfface restore scarf.png --mask scarf_mask.png -o restored

For each photo with a face there will be in DIR:
  <photo>_restored.png       the photo, its faces restored and laid back in place
  <photo>_side_by_side.png   one row a face: as it was, what the network saw, restored
Of a folder, every picture in it (not in folders below) is taken. A photo that cannot be read or has
no face is named, and the others go on; the exit code is 1 if none worked.
"""


def add_parser(verbs, **options):
    """Adds the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "restore",
        help="restore the faces of photos with a trained model",
        description="Finds every face of each photo, shrinks it to what the network takes\n"
        "(16x16), restores it and lays it back in its place.",
        epilog=EXAMPLES,
        **options,
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", type=Path, help="picture file, or folder of pictures"
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="DIR", type=Path, help="folder for the pictures"
    )
    parser.add_argument(
        "--mask",
        metavar="MASK.png",
        type=Path,
        help="picture of the photo's size, white where something covers a face: the network is "
        "not shown what is there",
    )
    add_model_option(parser, MODELS, NETWORKS["restoration"])
    add_detector_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Restores the photos; returns the exit code."""
    check_detector_options(args)
    check_model(args.model, MODELS, training="`make demo`")
    check_apart(args.out, args.photos, "restored")
    photos = photos_of(args.photos)
    mask = None if args.mask is None else _read_mask(args.mask)
    check_out(args.out)
    if sys.stderr.isatty():
        say("loading the model and the face detector")
    load_tensorflow()
    from tfface.serving.predictors.restoration import RestorationPredictor

    predictor = load_predictor(RestorationPredictor, args, MODELS)
    names = output_names(photos, args.out, ("_restored.png", "_side_by_side.png"))

    def restore_one(path, name):
        return _restore_one(predictor, path, mask, args.out / name)

    return each_photo(photos, names, restore_one, "restored")


def _restore_one(predictor, path, mask, stem):
    """Restores one photo; False, with a line that says why, if it cannot be."""

    def restored(photo):
        if mask is not None and mask.shape != photo.shape[:2]:
            raise _other_size(path, photo, mask)
        return predictor(photo, mask)

    result = faces_of(path, restored)
    if result is None or not result.faces:
        return False
    photo, side_by_side = f"{stem}_restored.png", f"{stem}_side_by_side.png"
    _write(result, photo, side_by_side)
    say(f"{path}: {faces_text(result.faces)}, {photo} {side_by_side}", sys.stdout)
    return True


def _other_size(path, photo, mask):
    from tfface.data.photos import PhotoError

    return PhotoError(
        f"{path}: its mask must be of its size, {photo.shape[1]}x{photo.shape[0]}. "
        f"Received: {mask.shape[1]}x{mask.shape[0]}."
    )


def _read_mask(path):
    """A mask picture as (height, width) bool, True where white."""
    from tfface.data.photos import PhotoError, read_photo

    try:
        return read_photo(path).mean(axis=-1) >= 128
    except PhotoError as error:
        raise CommandError(f"--mask {error}", code=2) from error


def _write(result, photo, side_by_side):
    from tfface.data.photos import write_photo
    from tfface.plots.images import image_grid

    low_size, size = result.inputs.shape[1], result.restored.shape[1]
    with writing(photo):
        write_photo(photo, result.photo)
    with writing(side_by_side):
        image_grid(
            list(zip(result.crops, result.inputs, result.restored, strict=True)),
            ["Photo", f"Input {low_size}x{low_size}", f"Restored {size}x{size}"],
            side_by_side,
        )
