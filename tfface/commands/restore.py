"""`tfface restore`: photos in, photos with restored faces out."""

import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from tfface.atomic import make_folder
from tfface.commands.startup import CommandError, load_tensorflow

MODELS = Path("savedmodels/restoration")

EXAMPLES = """\
examples:
  tfface restore portrait.jpg -o restored
  tfface restore album -o restored --model runs/quickstart/generator.keras
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
    parser.add_argument(
        "--model",
        metavar="PATH",
        type=Path,
        help="a SavedModel's folder, a folder of its versions, or a generator.keras "
        f"(default: the newest version in {MODELS})",
    )
    add_detector_options(parser)
    parser.set_defaults(run=run)


def add_detector_options(parser):
    """Adds what names a face detector, for every verb that needs one."""
    parser.add_argument(
        "--detector",
        choices=("mtcnn", "yunet"),
        default="mtcnn",
        help="what finds the faces (default: mtcnn; yunet needs --detector-model)",
    )
    parser.add_argument(
        "--detector-model", metavar="FILE", type=Path, help="YuNet's .onnx file, from OpenCV Zoo"
    )


def check_detector_options(args):
    """Raises a CommandError where the detector and its model file do not belong together."""
    if (args.detector == "yunet") != (args.detector_model is not None):
        raise CommandError("--detector yunet and --detector-model FILE go together", code=2)
    if args.detector_model is not None and not args.detector_model.is_file():
        raise CommandError(f"--detector-model {args.detector_model}: no such file", code=2)


def run(args):
    """Restores the photos; returns the exit code."""
    check_detector_options(args)
    _check_model(args.model)
    photos = _photos(args.photos, args.out)
    mask = None if args.mask is None else _read_mask(args.mask)
    _check_out(args.out)
    if sys.stderr.isatty():
        _say("loading the model and the face detector")
    load_tensorflow()
    predictor = _predictor(args)
    done = 0
    # disable=None: a bar on a terminal, nothing elsewhere.
    with tqdm(total=len(photos), unit=" photos", disable=None if len(photos) > 1 else True) as bar:
        for photo, name in zip(photos, _names(photos, args.out), strict=True):
            done += _restore_one(predictor, photo, mask, args.out / name)
            bar.update()
    if len(photos) > 1:
        print(f"{done} of {len(photos)} photos restored")
    return 0 if done else 1


def _restore_one(predictor, path, mask, stem):
    """Restores one photo; False, with a line that says why, if it cannot be."""
    from tfface.data.photos import read_photo

    try:
        photo = read_photo(path)
        if mask is not None and mask.shape != photo.shape[:2]:
            raise ValueError(
                f"{path}: its mask must be of its size, {photo.shape[1]}x{photo.shape[0]}. "
                f"Received: {mask.shape[1]}x{mask.shape[0]}."
            )
        result = predictor(photo, mask)
    except ValueError as error:  # PhotoError is one
        _say(error)
        return False
    except MemoryError:
        _say(f"{path}: too large for this machine's memory")
        return False
    if not result.faces:
        _say(f"{path}: no face found")
        return False
    restored, side_by_side = f"{stem}_restored.png", f"{stem}_side_by_side.png"
    _write(result, restored, side_by_side)
    count = len(result.faces)
    _say(f"{path}: {count} face{'s' if count > 1 else ''}, {restored} {side_by_side}", sys.stdout)
    return True


def _predictor(args):
    from tfface.data.detection import create_detector
    from tfface.serving.predictors.restoration import RestorationPredictor

    try:
        detector = create_detector(args.detector, args.detector_model)
        return RestorationPredictor(args.model or MODELS, detector)
    except ValueError as error:
        raise CommandError(error, code=2) from error


def _check_model(model):
    """Says at once, before TensorFlow is loaded, that there is no model."""
    if model is not None:
        if not model.exists():
            raise CommandError(f"--model {model}: no such file or folder", code=2)
    elif not any(MODELS.glob("*/saved_model.pb")):
        raise CommandError(
            f"there is no model in {MODELS}: train one with `make demo`, or name one with --model",
            code=2,
        )


def _check_out(folder):
    """Makes the output folder and sees that it can be written, before an hour's work is done."""
    try:
        make_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"-o {folder}: cannot be written ({error.strerror})") from error


def _read_mask(path):
    """A mask picture as (height, width) bool, True where white."""
    from tfface.data.photos import PhotoError, read_photo

    try:
        return read_photo(path).mean(axis=-1) >= 128
    except PhotoError as error:
        raise CommandError(f"--mask {error}", code=2) from error


def _photos(paths, out):
    """The photos named, and of each folder named those in it, in the order of their names."""
    from tfface.data.photos import is_picture_name

    photos = []
    for path in paths:
        if not path.is_dir():
            photos.append(path)
            continue
        if path.resolve() == out.resolve():
            raise CommandError(
                f"-o {out}: must be another folder than that of the photos, or the next time its "
                "pictures would be restored as well",
                code=2,
            )
        found = sorted(file for file in path.iterdir() if file.is_file() and is_picture_name(file))
        if not found:
            raise CommandError(f"{path}: a folder without pictures", code=2)
        photos += found
    return photos


def _names(photos, out):
    """A name of its own for each photo's outputs, none of which is one of the photos."""
    inputs = {photo.resolve() for photo in photos}
    names = []
    for photo in photos:
        name, count = photo.stem, 1
        while name in names or any(
            (out / f"{name}_{kind}.png").resolve() in inputs
            for kind in ("restored", "side_by_side")
        ):
            count += 1
            name = f"{photo.stem}_{count}"
        names.append(name)
    return names


def _write(result, restored, side_by_side):
    from tfface.data.photos import PhotoError, write_photo
    from tfface.plots.images import image_grid

    low_size, size = result.inputs.shape[1], result.restored.shape[1]
    try:
        write_photo(restored, result.photo)
        image_grid(
            list(zip(result.crops, result.inputs, result.restored, strict=True)),
            ["Photo", f"Input {low_size}x{low_size}", f"Restored {size}x{size}"],
            side_by_side,
        )
    # A full disk stays full: the photos to come would fail as well.
    except PhotoError as error:
        raise CommandError(error) from error
    except OSError as error:
        raise CommandError(f"{side_by_side}: cannot be written ({error.strerror})") from error


def _say(line, stream=None):
    """Writes one line, to the error stream if no other is named, above any progress bar."""
    stream = stream or sys.stderr
    tqdm.write(" ".join(str(line).split()), file=stream)
    stream.flush()
