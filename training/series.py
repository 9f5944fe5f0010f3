"""Several trainings as one job: every fold, every missing rate, each a run in a folder of its own.

The parts lie in `<out>/parts/<name>/` and are whole runs: each has its config, its checkpoints and
its summary, can be stopped and goes on, and can be exported by itself.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import keras
from run import PARTS


@dataclass(frozen=True)
class Part:
    """One training of a series.

    Args:
        point: What sets it apart: the values of the series' axes, by key of the config.
        config: Its whole config.
    """

    point: dict
    config: object


def make_parts(config, axes, single):
    """Every combination of the axes' values as a config with a folder of its own.

    Args:
        config: The config of the whole job.
        axes: By key of the config (with dots), the values to run through.
        single: By key, what makes a part no series itself.

    Returns:
        List of Part, the last axis changing fastest. An axis of one value names no folder; if all
        are, the only part is the job itself, in the job's own folder.
    """
    names = [key for key, values in axes.items() if len(values) > 1]
    parts = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        changed = config.clone()
        for key, value in {**single, **point}.items():
            changed[key] = value
        if names:
            folder = "-".join(f"{key.rpartition('.')[2]}_{point[key]}" for key in names)
            changed.out = str(Path(config.out) / PARTS / folder)
            changed.export_dir = None  # `tfface export` takes the part that its user chooses
        parts.append(Part(point, changed))
    return parts


def run_parts(parts, job):
    """Runs `job` on each part's config; returns what it returned, in order."""
    results = []
    for number, part in enumerate(parts, start=1):
        print(f"part {number} of {len(parts)}: {part.config.out}", flush=True)
        results.append(job(part.config))
        keras.backend.clear_session()  # the next part's networks take the place of these
    return results
