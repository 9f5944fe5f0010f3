"""The `tfface` command."""

import argparse
import contextlib
import importlib.metadata
import os
import signal
import sys
import threading

from tfface.commands import edit, export, magnify, prepare, recognize, regenerate, restore
from tfface.commands.startup import CommandError

DESCRIPTION = """\
Facial expressions in photos and videos: restored, magnified, and their action units recognized.

tfface turns a tiny, partly hidden face (16x16 pixels) back into a 128x128 one with its expression
kept, says which action units (the movements of which FACS makes all expressions) a face shows, and
turns a weak expression into its peak and names it.
A model is trained first, on faces that the program makes itself or on yours.
"""

EXAMPLES = """\
from nothing to a restored photo:
  make demo                                         trains a small model and exports it
  tfface restore portrait.jpg -o restored           restores the faces of a photo

the action units of every face:
  python training/recognition.py --config training/configs/recognition/quickstart.yaml \\
      --out runs/recognition
  tfface recognize portrait.jpg                     a table on the terminal
  tfface recognize interview.mp4 -o found --plot    a csv of every frame, and curves over time

weak expressions, magnified and named:
  python training/magnification.py --config training/configs/magnification/quickstart.yaml \\
      --out runs/magnification
  tfface magnify portrait.jpg -o magnified          the photo, heat maps and a csv

action units switched, everything else untouched:
  python training/synthesis.py --config training/configs/synthesis/quickstart.yaml \\
      --out runs/synthesis
  tfface edit portrait.jpg --au 12=1 -o edited      the photo, and where it was changed
  tfface edit portrait.jpg --au 12=0..1 -o edited   an animation and a strip

with faces of your own:
  tfface prepare image_folder --manual_dir ~/faces --name my_faces
  python training/restoration.py --config training/configs/restoration/quickstart.yaml \\
      --data.dataset image_folder/my_faces --out runs/my_faces
  tfface export restoration --run runs/my_faces --format savedmodel,litert

`tfface VERB --help` explains a verb. Exit codes: 0 done, 1 the job failed, 2 wrong usage.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv=None):
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None is the process's own.

    Returns:
        Exit code: 0 done, 1 the job failed, 2 wrong usage.
    """
    args = _parser().parse_args(argv)
    try:
        with _terminated_like_interrupted():
            code = args.run(args)
            sys.stdout.flush()
            return code
    except CommandError as error:
        for line in error.lines:
            print(f"tfface {args.verb}: error: {line}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(f"tfface {args.verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read the output has enough of it, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


@contextlib.contextmanager
def _terminated_like_interrupted():
    """Lets `kill` end a command as Ctrl-C does: what it has half written is removed."""
    if threading.current_thread() is not threading.main_thread():  # signals are that one's alone
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser():
    options = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = _Parser(prog="tfface", description=DESCRIPTION, epilog=EXAMPLES, **options)
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which version it is")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for module in (restore, recognize, magnify, regenerate, edit, prepare, export):
        module.add_parser(verbs, **options)
    return parser


class _Version(argparse.Action):
    """Prints the versions that a report of a fault needs."""

    def __call__(self, parser, namespace, values, option_string=None):
        for package in ("tfface", "tensorflow", "keras"):
            try:
                print(package, importlib.metadata.version(package))
            except importlib.metadata.PackageNotFoundError:
                print(package, "is not installed")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
