"""Where a benchmark's figures go: a JSON file that says what made them, and a chart beside it."""

import datetime
import json
import os
import platform
import re
import shlex
import sys
from pathlib import Path

FOLDER = Path("runs/benchmarks")


def add_out(parser):
    """Adds `--out` to a benchmark's parser."""
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.json",
        help="where the figures go; a chart goes beside them as FILE.png "
        f"(default: {FOLDER}/, by the names of the benchmark and the system)",
    )


def save(out, name, content, draw):
    """Writes figures with their chart, and says where.

    Args:
        out: File that the user has named, or None.
        name: What the file is called otherwise, without a suffix, such as "train_step_synthesis".
        content: Dict of figures, which get the command, the date and the machine.
        draw: Function of the chart's path.
    """
    path = Path(out or FOLDER / f"{name}.json")
    chart = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **made_by()}, indent=2) + "\n")
    draw(chart)
    print(f"Written: {path}, {chart}")


def made_by():
    """The command that runs, the date, the machine and the versions."""
    import keras
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.get_visible_devices("GPU")
    ]
    versions = {"python": platform.python_version(), "tensorflow": tf.__version__}
    versions["keras"] = keras.__version__
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "date": datetime.datetime.now().isoformat(" ", "minutes"),
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            "gpus": gpus,
        },
        "versions": versions,
    }


def processor():
    """The processor's name."""
    known = Path("/proc/cpuinfo")
    found = known.exists() and re.search(r"model name\s*: (.+)", known.read_text())
    return found.group(1) if found else platform.machine()
