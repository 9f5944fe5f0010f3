"""The options that name a face detector, for every verb that needs one."""

from pathlib import Path

from tfface.commands.startup import CommandError


def add_detector_options(parser):
    """Adds them to a verb's parser."""
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
