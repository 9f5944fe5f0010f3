"""The floors of the package: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

import tfface

ROOT = Path(tfface.__file__).parent

FLOORS = (
    ("atomic", "facs", "network"),
    ("tables", "layers"),
    ("losses", "metrics", "backbones"),
    ("scores", "confusion"),
    ("data",),
    ("adversarial",),
    ("classification",),
    ("plots",),
    # The systems, which never import each other.
    ("restoration", "recognition", "magnification", "regeneration", "synthesis"),
    ("serving",),
    ("commands",),
    ("cli",),
)
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}

MODULES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in LEVEL)


def part(name):
    """`tfface.data.source` is of the part `data`."""
    return name.split(".")[1]


def imported(path):
    """Parts of the package that a module imports, at its top or within a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {part(name) for name in names if name.startswith("tfface.")}


def test_every_part_has_a_floor():
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")}
    assert parts - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = {name for name in imported(path) - {own} if LEVEL[name] >= LEVEL[own]}
    assert not above
