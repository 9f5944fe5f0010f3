"""A training run's folder, as far as exports need to know it."""

from pathlib import Path

import yaml


def read_run(folder):
    """The values in a run's `config.yaml`, nested; `system` is among them.

    Args:
        folder: The run's folder.

    Returns:
        dict.

    Raises:
        ValueError: If the folder holds no `config.yaml` as a training script writes it.
    """
    path = Path(folder) / "config.yaml"
    rule = "`folder` must be a run's, with a config.yaml as its training script wrote it. "
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = "it is not there" if not path.exists() else " ".join(str(error).split())[:200]
        raise ValueError(f"{rule}Received: {path} ({reason}).") from error
    if not isinstance(values, dict) or not {"system", "data"} <= values.keys():
        raise ValueError(f"{rule}Received: {path} (it names no system and data).")
    return values
