"""The trained model that a verb works with: the one named, or the newest that was exported."""

import os
from pathlib import Path

from tfface.commands.startup import CommandError


def add_model_option(parser, folder, file):
    """Adds `--model`.

    Args:
        parser: argparse parser of the verb.
        folder: Where the system's versions are exported to.
        file: Name of the network's file in a training run's folder.
    """
    parser.add_argument(
        "--model",
        metavar="PATH",
        type=Path,
        help=f"a SavedModel's folder, a folder of its versions, or a {file} "
        f"(default: the newest version in {folder})",
    )


def check_model(model, folder, training):
    """Says at once, before TensorFlow is loaded, that there is no model.

    Args:
        model: What `--model` names, or None.
        folder: As in `add_model_option`.
        training: How one is trained, for the error's line.

    Raises:
        CommandError: If there is none.
    """
    if model is not None:
        if not os.path.exists(model):
            raise CommandError(f"--model {model}: no such file or folder", code=2)
    elif not any(folder.glob("*/saved_model.pb")):
        raise CommandError(
            f"there is no model in {folder}: train one with {training}, or name one with --model",
            code=2,
        )


def load_predictor(predictor, args, folder):
    """Makes a verb's predictor of the model and the detector that the user names.

    Args:
        predictor: Class of (model, detector), from `tfface.serving.predictors`.
        args: What the verb's parser gives, of `--model` and the detector's options.
        folder: As in `add_model_option`.

    Raises:
        CommandError: If the model or the detector cannot be had.
    """
    from tfface.data.detection import create_detector

    try:
        return predictor(args.model or folder, create_detector(args.detector, args.detector_model))
    except ValueError as error:
        raise CommandError(error, code=2) from error
