"""Finds weak faces and peaks that belong together: in sequences, or by a classifier.

Reference:
    Niu et al., Four-player GroupGAN for weak expression recognition via latent expression
    magnification, 2022, Sec. 4.1.
"""

from collections import Counter

import numpy as np

from tfface.data.pairs import FacePairs

WEAK_FRAMES = (6, 7, 8)
"""Positions in a sequence, from 1, of the frames taken for weak expressions (Sec. 4.1)."""


def sequence_pairs(source, splits, classes=None, weak_frames=WEAK_FRAMES):
    """Pairs of weak and peak faces from sequences that run from neutral to peak (Sec. 4.1).

    Frames count by their order among those that the set holds. The last is the peak and says the
    class, the first is neutral (where it is not a weak one itself, as it is of a destroyed and a
    whole sketch), and of the weak frames those before the last are paired with it. Left out, and
    counted in `skipped`: a sequence with fewer frames than the last weak one, without a label, of
    an expression that is not among `classes`, or whose phase, where it is known, is not highest at
    its end; and faces that belong to no sequence.

    Args:
        source: The data set.
        splits: Its splits.
        classes: Names of the expressions to take, in the order of the labels, so that sets whose
            IDs differ can be mixed; None for the source's own.
        weak_frames: Positions of the weak frames, from 1.

    Returns:
        FacePairs.

    Raises:
        ValueError: If a class is not one of the source's, `weak_frames` are not positions, or no
            pair is found.
    """
    classes = _checked_classes(source, classes)
    weak_frames = sorted({int(number) for number in weak_frames})
    if not weak_frames or weak_frames[0] < 1:
        raise ValueError(f"`weak_frames` must be positions from 1 on. Received: {weak_frames}")
    values = source.values(splits, ["subject", "sequence", "frame", "expression", "phase"])
    labels = _labels(source, values["expression"], classes)
    skipped, pairs = Counter(), []
    for rows in _sequences(values):
        reason = _unfit(rows, values, labels, weak_frames[-1])
        if reason:
            skipped[reason] += 1
            continue
        pairs += [
            (rows[number - 1], rows[-1], labels[rows[-1]], rows[0])
            for number in weak_frames
            if number < len(rows)
        ]
    if not pairs:
        raise ValueError(
            f"`splits` must hold a labeled sequence of at least {weak_frames[-1]} frames. "
            f"Received: {dict(skipped)}"
        )
    weak, peak, label, neutral = np.array(sorted(pairs), np.int64).T
    if weak_frames[0] == 1:
        neutral = None
    return FacePairs(source, tuple(splits), classes, weak, peak, label, neutral, dict(skipped))


def pick_peaks(probabilities, labels, share=0.1, threshold=None):
    """Finds the faces that a classifier recognizes most surely: peaks of a set without pairs.

    The paper chooses "facial images which are easily predicted" (Sec. 4.1). Choice: of the faces
    whose own class is the likeliest, those with its highest probability.

    Args:
        probabilities: (n, classes), the classifier's.
        labels: (n,) class IDs, -1 for a face to leave out.
        share: Of the faces of a class, the share that becomes peaks, at least one; fewer if not so
            many are recognized. 0 to 1.
        threshold: Smallest probability of a peak, in place of `share`.

    Returns:
        Ascending positions of the peaks.

    Raises:
        ValueError: If an argument is out of its range, or a class has faces but no peak.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise ValueError(
            f"`probabilities` must have a row for each of {len(labels)} faces. "
            f"Received: shape {probabilities.shape}"
        )
    if not 0 < share <= 1:
        raise ValueError(f"`share` of peaks must be above 0 and at most 1. Received: {share}")
    peaks = []
    for number in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == number)
        own = probabilities[members, number]
        sure = own == probabilities[members].max(axis=1)
        if threshold is None:
            order = np.argsort(-own[sure], kind="stable")
            chosen = members[sure][order[: max(1, round(share * len(members)))]]
        else:
            chosen = members[sure & (own >= threshold)]
        if not len(chosen):
            raise ValueError(
                "`probabilities` must give each class a peak, a face that is recognized"
                f"{'' if threshold is None else f' with at least {threshold}'}. "
                f"Received: none of {len(members)} faces of class {number}"
            )
        peaks.append(chosen)
    return np.sort(np.concatenate(peaks)) if peaks else np.zeros(0, np.int64)


def peak_pairs(source, splits, probabilities, share=0.1, threshold=None, seed=0, classes=None):
    """Pairs for a set without any (LSEMSW): each face with a sure peak of its class.

    Args:
        source: The data set.
        splits: Its splits.
        probabilities: (n, classes) of a trained classifier for all faces of the splits, in the
            order of `source.records`.
        share: As in `pick_peaks`.
        threshold: As in `pick_peaks`.
        seed: Which peak each face is paired with.
        classes: As in `sequence_pairs`.

    Returns:
        FacePairs without neutral faces; peaks themselves are not weak.

    Raises:
        ValueError: As in `pick_peaks`, or if no face is left to pair.
    """
    classes = _checked_classes(source, classes)
    expressions = source.values(splits, ["expression"])["expression"]
    labels = _labels(source, expressions, classes)
    if np.shape(probabilities)[1:] != (len(classes),):
        raise ValueError(
            f"`probabilities` must have a column for each of {len(classes)} classes. "
            f"Received: shape {np.shape(probabilities)}"
        )
    peaks = pick_peaks(probabilities, labels, share, threshold)
    weak = np.setdiff1d(np.flatnonzero(labels >= 0), peaks)
    if not len(weak):
        raise ValueError(
            "`share` or `threshold` must leave faces to pair. "
            f"Received: {len(peaks)} peaks, no other face"
        )
    rng = np.random.default_rng(seed)
    peak = np.zeros_like(weak)
    for number in np.unique(labels[weak]):
        of_class = labels[weak] == number
        peak[of_class] = rng.choice(peaks[labels[peaks] == number], of_class.sum())
    skipped = Counter(
        "not labeled" if expression < 0 else "of another expression"
        for expression in expressions[labels < 0]
    )
    return FacePairs(
        source, tuple(splits), classes, weak, peak, labels[weak], skipped=dict(skipped)
    )


def labeled_faces(source, splits, classes=None):
    """Every labeled face with itself: what a classifier learns from that is to pick peaks.

    Args:
        source: The data set.
        splits: Its splits.
        classes: As in `sequence_pairs`.

    Returns:
        FacePairs.

    Raises:
        ValueError: If a class is not one of the source's, or no face is labeled.
    """
    classes = _checked_classes(source, classes)
    labels = _labels(source, source.values(splits, ["expression"])["expression"], classes)
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise ValueError(
            f"`splits` must hold labeled faces. Received: none of {', '.join(classes)}"
        )
    return FacePairs(source, tuple(splits), classes, rows, rows, labels[rows])


def with_peaks_of(pairs, splits, seed=0):
    """Each labeled face of other splits beside a peak of its class from `pairs`.

    So a set without pairs is tested: on every face, none left out for being a peak.

    Args:
        pairs: FacePairs of the training faces, whose peaks were picked.
        splits: Splits of the faces to test.
        seed: Which peak each face stands beside.

    Returns:
        FacePairs.

    Raises:
        ValueError: If no face is labeled.
    """
    faces = labeled_faces(pairs.source, splits, pairs.classes)
    rng = np.random.default_rng(seed)
    peak = np.zeros_like(faces.peak)
    for number in np.unique(faces.label):
        of_class = faces.label == number
        peak[of_class] = rng.choice(np.unique(pairs.peak[pairs.label == number]), of_class.sum())
    before = pairs.source.count(pairs.splits)
    return FacePairs(
        pairs.source,
        (*pairs.splits, *faces.splits),
        faces.classes,
        before + faces.weak,
        peak,
        faces.label,
    )


def _sequences(values):
    """Rows of each sequence, by frame."""
    order = np.lexsort((values["frame"], values["sequence"], values["subject"]))
    names = [values[key][order] for key in ("subject", "sequence")]
    starts = np.flatnonzero(np.any([name[1:] != name[:-1] for name in names], axis=0)) + 1
    return np.split(order, starts)


def _unfit(rows, values, labels, length):
    """Why a sequence gives no pairs, or None."""
    last, phase = rows[-1], values["phase"][rows]
    if not values["sequence"][last]:
        return "not in a sequence"
    if len(rows) < length:
        return f"shorter than {length} frames"
    if values["expression"][last] < 0:
        return "not labeled"
    if labels[last] < 0:
        return "of another expression"
    if np.any(phase[:-1] > phase[-1]):
        return "not highest at its end"
    return None


def _checked_classes(source, classes):
    if classes is None:
        classes = source.expressions
    classes = tuple(classes)
    if (
        len(classes) < 2
        or len(set(classes)) < len(classes)
        or set(classes) - set(source.expressions)
    ):
        raise ValueError(
            f"`classes` must be at least two of {', '.join(source.expressions) or 'none'}, none "
            f"twice. Received: {', '.join(classes) or 'none'}"
        )
    return classes


def _labels(source, expressions, classes):
    """Class IDs, -1 for an expression that is unknown or not among the classes."""
    of_expression = [classes.index(n) if n in classes else -1 for n in source.expressions]
    return np.array([*of_expression, -1], np.int64)[expressions]
