"""Which action units (AUs) occur together, and which exclude each other.

Two ways to know: counted from a data set's labels (`relations_from_labels`), or taken from what is
published about the muscles and the expressions (`prior_relations`), for data without labels.
"""

import dataclasses
import itertools

import numpy as np

from tfface.facs.action_units import validate_action_units
from tfface.facs.expressions import PROTOTYPES

# Pairs that tend to act together although no prototype holds both: parts of one muscle, muscles
# that share their work, or an action that brings the other with it (FACS manual, the sections on
# each AU's combinations).
SYNERGISTS = (
    (4, 9),  # the procerus lowers the brow when the nose wrinkles
    (6, 7),  # both parts of the orbicularis oculi
    (9, 10),  # both lift the upper lip
    (10, 12),  # a broad smile lifts the upper lip
    (17, 23),  # the mentalis pushes up the lip that the orbicularis oris tightens
    (17, 24),
    (20, 25),  # stretching thins the lips and parts them
    (22, 25),  # funneling parts the lips
    (23, 24),  # both by the orbicularis oris
    (25, 26),  # a dropped jaw parts the lips
    (25, 27),
)

# Pairs of which one undoes the other's movement.
ANTAGONISTS = (
    (5, 43),  # the upper lid raised against the eye closed
    (5, 45),
    (12, 15),  # the lip corner pulled up against down
    (13, 15),
    (18, 20),  # the mouth drawn narrow against wide
    (20, 22),
    (24, 25),  # the lips pressed together against parted
    (24, 26),
    (24, 27),
    (26, 27),  # the jaw relaxed against pulled down (FACS scores one of the two)
    (27, 28),
)


@dataclasses.dataclass(frozen=True, eq=False)
class AURelations:
    """What is known of each pair of action units.

    The diagonal of `coexisting` says that an AU's two sides act together. Both functions of this
    module set it: the paper names the symmetry of the face's halves first among the sources of its
    adjacency (restoration, Sec. 3.2). A pair may stand in both matrices; then exclusion counts.

    Attributes:
        action_units: Tuple of n FACS numbers, the order of both matrices.
        coexisting: (n, n) bool, symmetric: the two occur together.
        exclusive: (n, n) bool, symmetric, diagonal False: the two exclude each other.

    Raises:
        ValueError: If a matrix does not have this form, or an action unit is unknown.
    """

    action_units: tuple
    coexisting: np.ndarray
    exclusive: np.ndarray

    def __post_init__(self):
        """Checks the form of the matrices and freezes them."""
        units = validate_action_units(self.action_units)
        object.__setattr__(self, "action_units", units)
        for name in ("coexisting", "exclusive"):
            matrix = np.array(getattr(self, name), bool)
            if matrix.shape != (len(units), len(units)):
                raise ValueError(
                    f"`{name}` must have shape {(len(units), len(units))}, one row and column an "
                    f"action unit. Received: {matrix.shape}"
                )
            if not np.array_equal(matrix, matrix.T):
                raise ValueError(f"`{name}` must be symmetric. Received: {matrix.tolist()}")
            matrix.flags.writeable = False
            object.__setattr__(self, name, matrix)
        if self.exclusive.diagonal().any():
            raise ValueError(
                "`exclusive` must be False on its diagonal: no action unit excludes itself. "
                f"Received: {self.exclusive.diagonal().tolist()}"
            )


def relations_from_labels(labels, action_units, odds_ratio=3.0, min_expected=5.0):
    """Counts co-existence and exclusion in a data set's labels.

    The statistic of a pair is its odds ratio over the frames in which both labels are known,

        OR = (n11 + 1/2) (n00 + 1/2) / ((n10 + 1/2) (n01 + 1/2)),

    with the halves of Haldane and Anscombe so that an empty cell is no division by zero. It is the
    same for (i, j) as for (j, i), and unlike a conditional probability or a lift it does not depend
    on how often each AU occurs, which for BP4D lies between 6 % and 60 %. A pair co-exists where
    OR >= `odds_ratio` and is exclusive where OR <= 1 / `odds_ratio`. The default is close to
    what counts as a medium effect (3.47 in Chen, Cohen, Chen, "How big is a big odds ratio?",
    2010). Pairs of which too little was seen stay unknown: as in Cochran's rule for 2x2 tables,
    each of the four cells must be expected at least `min_expected` times if the two AUs were
    independent. So an AU that is never (or always) present has no relation but with itself.

    Args:
        labels: (frames, n) array of 1 present, 0 absent, NaN not coded.
        action_units: n FACS numbers, the columns of `labels`.
        odds_ratio: Odds ratio from which on a pair co-exists, above 1.
        min_expected: Least expected count of each cell of the pair's table, at least 0.

    Returns:
        AURelations.

    Raises:
        ValueError: If shapes disagree, a label is not 0, 1 or NaN, or a threshold is out of range.
    """
    action_units = validate_action_units(action_units)
    labels = np.asarray(labels, np.float64)
    if labels.ndim != 2 or labels.shape[1] != len(action_units):
        raise ValueError(
            f"`labels` must have shape (frames, {len(action_units)}), one column an action unit. "
            f"Received: {labels.shape}"
        )
    if odds_ratio <= 1:
        raise ValueError(f"`odds_ratio` must be above 1. Received: {odds_ratio}")
    if min_expected < 0:
        raise ValueError(f"`min_expected` must be at least 0. Received: {min_expected}")
    known = ~np.isnan(labels)
    strange = np.unique(labels[known & (labels != 0) & (labels != 1)])
    if strange.size:
        raise ValueError(f"`labels` must be 0, 1 or NaN. Received: {strange[:5].tolist()}")

    present = (known & (labels == 1)).astype(np.float64)
    absent = known.astype(np.float64) - present
    both = present.T @ present  # n11, an (n, n) count of frames, as are the next three
    first = present.T @ absent  # n10
    second = absent.T @ present  # n01
    neither = absent.T @ absent  # n00

    odds = (both + 0.5) * (neither + 0.5) / ((first + 0.5) * (second + 0.5))
    # Under independence a cell's expected count is its row's sum times its column's over the total.
    rarer_row = np.minimum(both + first, second + neither)
    rarer_column = np.minimum(both + second, first + neither)
    total = both + first + second + neither
    enough = rarer_row * rarer_column >= min_expected * np.maximum(total, 1)

    itself = np.eye(len(action_units), dtype=bool)
    return AURelations(
        action_units,
        coexisting=(enough & (odds >= odds_ratio)) | itself,
        exclusive=enough & (odds <= 1 / odds_ratio) & ~itself,
    )


def prior_relations(action_units):
    """Returns the relations that FACS itself lets one expect, without any labels.

    Two AUs co-exist if a prototypic expression holds both (`expressions.PROTOTYPES`, after EMFACS),
    or if their muscles work together (`SYNERGISTS`). They exclude each other if one undoes the
    other's movement (`ANTAGONISTS`). Sources: Ekman, Friesen, Hager, "Facial Action Coding System:
    The Manual", 2002, for muscles and combinations; the pairs 1, 2 (co-occurring) and 12, 15
    (exclusive) are also Fig. 1 of the recognition paper.

    Args:
        action_units: n FACS numbers.

    Returns:
        AURelations of these action units, in their order.

    Raises:
        ValueError: If an action unit is unknown or comes twice, or there is none.
    """
    action_units = validate_action_units(action_units)
    in_prototypes = itertools.chain.from_iterable(
        itertools.combinations(units, 2) for units in PROTOTYPES.values()
    )
    coexisting = _pair_matrix([*in_prototypes, *SYNERGISTS], action_units)
    np.fill_diagonal(coexisting, True)
    return AURelations(action_units, coexisting, _pair_matrix(ANTAGONISTS, action_units))


def _pair_matrix(pairs, action_units):
    """Returns the symmetric (n, n) bool matrix of the pairs of which both are action units here."""
    place = {unit: index for index, unit in enumerate(action_units)}
    matrix = np.zeros((len(action_units), len(action_units)), bool)
    for first, second in pairs:
        if first in place and second in place:
            matrix[place[first], place[second]] = matrix[place[second], place[first]] = True
    return matrix
