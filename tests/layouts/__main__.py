"""`python -m tests.layouts NAME FOLDER`: a set as it is delivered, of synthetic faces."""

import argparse
import importlib
from pathlib import Path

NAMES = {file.stem for file in Path(__file__).parent.glob("[a-z]*.py")} - {"faces"}

parser = argparse.ArgumentParser(prog="tests.layouts", description=__doc__)
parser.add_argument("name", choices=sorted(NAMES))
parser.add_argument("folder", type=Path)
arguments = parser.parse_args()
importlib.import_module(f"tests.layouts.{arguments.name}").make(arguments.folder)
