"""`python -m tests.layouts NAME FOLDER`: a set as it is delivered, of synthetic faces."""

import argparse
import importlib
from pathlib import Path

parser = argparse.ArgumentParser(prog="tests.layouts", description=__doc__)
parser.add_argument("name", choices=["bp4d", "ck_plus", "disfa", "oulu_casia", "sketchy"])
parser.add_argument("folder", type=Path)
arguments = parser.parse_args()
importlib.import_module(f"tests.layouts.{arguments.name}").make(arguments.folder)
