"""Recordings of synthetic subjects: records of spontaneous frames and of posed sequences."""

import dataclasses

import numpy as np

from tfface.data.synthetic import behavior
from tfface.data.synthetic.identity import SYNTHETIC_AUS, sample_identity, subject_seed
from tfface.data.synthetic.pose import sample_nuisance
from tfface.data.synthetic.rendering import render
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS

SEQUENCE_LENGTH = 12


def frames(seed, subject, count, size, action_units=SYNTHETIC_AUS):
    """Yields frames of spontaneous behavior, as a video data base such as BP4D holds them.

    The frames are dealt to eight tasks of a subject (sequences "T1" to "T8"). A task has one
    light and one background; pose, gaze and action units change from frame to frame.

    Args:
        seed: Seed of the whole data set, an integer.
        subject: The subject's number or name.
        count: Number of frames, at least 0.
        size: Width and height of the pictures in pixels.
        action_units: The AUs to label, a subset of `SYNTHETIC_AUS`.

    Yields:
        Dicts with the keys of the one record (`data.schema`), NumPy values. `expression` is -1 and
        `phase` NaN: spontaneous behavior has neither.

    Raises:
        ValueError: If an AU is not one that synthetic faces show.
    """
    coded = _coded(action_units)
    identity = sample_identity(seed, subject)
    rng = np.random.default_rng((subject_seed(seed, subject), 1))
    tasks = list(behavior.TASKS)
    recordings = {task: sample_nuisance(rng) for task in tasks}
    for number in range(count):
        task = tasks[number * len(tasks) // count]
        nuisance = _next_frame(recordings[task], rng, 1.0)
        intensities = behavior.sample_moment(identity, task, rng)
        frame = number - -(-tasks.index(task) * count // len(tasks))
        picture, landmarks = render(identity, intensities, nuisance, size)
        yield _record(picture, landmarks, subject, task, frame, intensities[coded])


def sequences(
    seed,
    subject,
    size,
    action_units=SYNTHETIC_AUS,
    shown=range(SEQUENCE_LENGTH),
    one_sitting=False,
):
    """Yields posed expressions from neutral to peak, as CK+ holds them.

    One sequence of 12 frames for each of `CK_PLUS_EXPRESSIONS`; `phase` runs from 0 to 1.

    Args:
        seed: Seed of the whole data set, an integer.
        subject: The subject's number or name.
        size: Width and height of the pictures in pixels.
        action_units: The AUs to label, a subset of `SYNTHETIC_AUS`.
        shown: The frames of a sequence, from 0, that are drawn; they look as they do among all.
        one_sitting: Whether all sequences have the light, the background and at their beginning the
            pose of the first, as posed data bases record a person; else each has its own.

    Yields:
        Dicts with the keys of the one record (`data.schema`), NumPy values.

    Raises:
        ValueError: If an AU is not one that synthetic faces show.
    """
    coded = _coded(action_units)
    identity = sample_identity(seed, subject)
    rng = np.random.default_rng((subject_seed(seed, subject), 2))
    sitting = None
    for label, expression in enumerate(CK_PLUS_EXPRESSIONS):
        nuisance = sample_nuisance(rng)
        if one_sitting:
            nuisance = sitting = sitting or nuisance
        peak = behavior.posed_peak(expression, identity, rng)
        # Each AU starts a little earlier or later than the others, and all end at the peak.
        delay = rng.uniform(0.0, 0.25, len(SYNTHETIC_AUS))
        for frame in range(SEQUENCE_LENGTH):
            phase = frame / (SEQUENCE_LENGTH - 1)
            onset = np.clip((phase - delay) / (1.0 - delay), 0.0, 1.0)
            intensities = (peak * onset * onset * (3.0 - 2.0 * onset)).astype(np.float32)
            nuisance = _next_frame(nuisance, rng, 0.12)
            if frame not in shown:
                continue
            picture, landmarks = render(identity, intensities, nuisance, size)
            yield _record(picture, landmarks, subject, expression, frame, intensities[coded],
                          label, phase)  # fmt: skip


def _coded(action_units):
    unknown = sorted(set(action_units) - set(SYNTHETIC_AUS))
    if unknown:
        raise ValueError(
            f"`action_units` must be among {SYNTHETIC_AUS}, which synthetic faces show. "
            f"Received: {unknown}"
        )
    return [SYNTHETIC_AUS.index(number) for number in action_units]


def _next_frame(nuisance, rng, change):
    """Returns the same place a moment later: head and eyes moved by up to `change`."""
    fresh = sample_nuisance(rng)

    def toward(name):
        old, new = np.array(getattr(nuisance, name)), np.array(getattr(fresh, name))
        return old + change * (new - old)

    return dataclasses.replace(
        nuisance,
        seed=fresh.seed,
        background_seed=nuisance.background_seed,
        roll=float(toward("roll")),
        yaw=float(toward("yaw")),
        pitch=float(toward("pitch")),
        scale=float(toward("scale")),
        shift=tuple(toward("shift").tolist()),
        gaze=tuple(toward("gaze").tolist()),
        droop=float(toward("droop")),
    )


def _record(picture, landmarks, subject, sequence, frame, intensities, expression=-1, phase=np.nan):
    return {
        "image": picture,
        "landmarks": landmarks,
        "subject": str(subject),
        "sequence": str(sequence),
        "frame": np.int32(frame),
        "au": behavior.labels(intensities),
        "au_intensity": intensities.astype(np.float32),
        "expression": np.int64(expression),
        "phase": np.float32(phase),
    }
