"""The report of a build: what was read, what was kept, what was not and why, how often labels."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

REPORT_NAME = "report.json"


class Report:
    """Counts what a build read and kept; written as JSON beside the prepared records."""

    def __init__(self):
        self.kept = 0
        self.entries: dict[str, Any] = {}
        self._presence = collections.Counter()
        self._expressions = collections.Counter()
        self._started = time.monotonic()

    def count(self, record: Mapping[str, Any]) -> None:
        """Counts a record that was kept, and its labels."""
        self.kept += 1
        self._expressions[int(record["expression"])] += 1
        for index, value in enumerate(np.asarray(record["au"])):
            self._presence[index, "unknown" if np.isnan(value) else int(value)] += 1

    def as_dict(self, action_units: Sequence[int], expressions: Sequence[str]) -> dict[str, Any]:
        """The report as plain JSON values."""
        presence = {
            str(number): {
                "present": self._presence[index, 1],
                "absent": self._presence[index, 0],
                "unknown": self._presence[index, "unknown"],
            }
            for index, number in enumerate(action_units)
        }
        classes = {name: self._expressions[index] for index, name in enumerate(expressions)}
        return {
            "frames": self.kept,
            "kept": self.kept,
            "without_face": [],
            "without_labels": {},
            "unreadable": [],
            "missing": [],
            **self.entries,
            "action_units": presence,
            "expressions": {**classes, "not labeled": self._expressions[-1]},
            "seconds": round(time.monotonic() - self._started, 1),
        }
