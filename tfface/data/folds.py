"""Who trains, who validates, who tests: subject-exclusive protocols.

A protocol is named by a string, so that a config can hold it:

- `bp4d_3fold`, `disfa_3fold`: the published parts, three folds; fold i tests part i + 1 and trains
  on the other two.
- `bp4d_development`: one fold; trains on the training subjects of the FERA 2015 challenge and tests
  its development subjects.
- `kfold:K`: subjects sorted by ID and dealt in turn into K groups; fold i tests group i.
- `shares:0.6-0.2-0.2`: shares of the subjects for train, validation and test; fold i is the i-th
  random draw, for any i.
- `own`: the set's own splits `train`, `validation` and `test`, one fold.
- `tuning:PROTOCOL`: for choosing settings by, without a look at who tests. A fold trains on that of
  PROTOCOL and tests its validation people; where it has none, a quarter of its training people,
  drawn at random. PROTOCOL's test people have no part in it.

The restoration paper's "parts 1 + 2 train, part 3 tests" is fold 2 of `bp4d_3fold`.

Data sets are stored in splits by subject (one a subject, or a group of subjects each), so a fold of
subjects becomes a fold of splits, and every fold is checked: a subject in two parts is an error.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

BP4D_PARTS = tuple(
    tuple(part.split())
    for part in (
        "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
        "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
        "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
    )
)
"""The 41 subjects of BP4D in the three parts published with JAA-Net (Shao et al., ECCV 2018)."""

DISFA_PARTS = tuple(
    tuple(part.split())
    for part in (
        "SN001 SN002 SN009 SN010 SN016 SN026 SN027 SN030 SN032",
        "SN006 SN011 SN012 SN013 SN018 SN021 SN024 SN028 SN031",
        "SN003 SN004 SN005 SN007 SN008 SN017 SN023 SN025 SN029",
    )
)
"""The 27 subjects of DISFA in the three parts published with JAA-Net."""

BP4D_TRAINING, BP4D_DEVELOPMENT = (
    tuple(part.split())
    for part in (
        "F001 F003 F005 F007 F009 F011 F013 F015 F017 F019 F021 F023 "
        "M001 M003 M005 M007 M009 M011 M013 M015 M017",
        "F002 F004 F006 F008 F010 F012 F014 F016 F018 F020 F022 "
        "M002 M004 M006 M008 M010 M012 M014 M016 M018",
    )
)
"""BP4D's subjects in the training and the development part of FERA 2015 (Valstar et al.).

The recognition paper takes its training/development split from Han et al., 2018, and names no
subjects; that this one is meant, the challenge's own, is a choice. The subjects are those that
OpenFace's scripts for the challenge list.
"""

OWN_SPLITS = ("train", "validation", "test")

_PROTOCOLS = (
    "'bp4d_3fold', 'bp4d_development', 'disfa_3fold', 'kfold:K', "
    "'shares:TRAIN-VALIDATION-TEST', 'own' or 'tuning:PROTOCOL'"
)

_TUNED_SHARES = (0.75, 0.0, 0.25)
"""Of training people, who still train and who are tested while settings are chosen."""


@dataclass(frozen=True)
class Fold:
    """What trains, what validates and what tests.

    Attributes:
        train: Names of splits (or of subjects, as long as no source is involved).
        validation: The same; empty where a protocol has no validation part.
        test: The same; empty where a protocol has no test part.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def map(self, function: Callable[[tuple[str, ...]], tuple[str, ...]]) -> "Fold":
        """Returns the fold with each part replaced by what `function` makes of it."""
        return Fold(function(self.train), function(self.validation), function(self.test))


def three_fold(parts: Sequence[Sequence[str]]) -> tuple[Fold, ...]:
    """Leaves out one published part after the other.

    Args:
        parts: Three groups of names, such as `BP4D_PARTS`.

    Returns:
        Three folds: fold i tests `parts[i]` and trains on the other two, without validation.

    Raises:
        ValueError: If there are not three parts, or one is empty.
    """
    if len(parts) != 3 or not all(parts):
        raise ValueError(
            "`parts` must be three groups that are not empty. "
            f"Received: groups of {[len(part) for part in parts]} names."
        )
    return _leave_one_out(parts)


def k_fold(groups: Sequence[str], k: int) -> tuple[Fold, ...]:
    """Sorts names, deals them in turn into k groups and leaves out one group after the other.

    Args:
        groups: Names of subjects, or of splits that hold subjects dealt in turn.
        k: Number of folds.

    Returns:
        k folds: fold i tests the sorted names i, i + k, i + 2 k, ..., without validation.

    Raises:
        ValueError: If k is below 2 or exceeds the number of names.
    """
    if not 2 <= k <= len(groups):
        raise ValueError(
            f"`k` must be between 2 and the number of groups, {len(groups)}. Received: {k}."
        )
    ordered = sorted(groups)
    return _leave_one_out([ordered[i::k] for i in range(k)])


def _leave_one_out(parts: Sequence[Sequence[str]]) -> tuple[Fold, ...]:
    return tuple(
        Fold(
            train=tuple(name for j, part in enumerate(parts) if j != i for name in part),
            validation=(),
            test=tuple(tested),
        )
        for i, tested in enumerate(parts)
    )


_PUBLISHED = {
    "bp4d_3fold": three_fold(BP4D_PARTS),
    "bp4d_development": (Fold(BP4D_TRAINING, (), BP4D_DEVELOPMENT),),
    "disfa_3fold": three_fold(DISFA_PARTS),
}
"""The folds of subjects of each published protocol."""


def shares(groups: Sequence[str], parts: Sequence[float], seed: int = 0) -> Fold:
    """Draws shares of the groups at random.

    The draw sorts names by a hash of seed and name, so that it is the same on every machine and
    with every version of every library. (IDs sorted as they are would often put one sex, or one
    recording session, into one part.)

    Args:
        groups: Names of subjects, or of splits.
        parts: Shares of train, validation and test: three numbers from 0 that add up to 1. Each
            boundary is rounded to the nearest whole group.
        seed: Which draw.

    Returns:
        The fold; a part of share 0 is empty.

    Raises:
        ValueError: If `parts` is not as described, or a share above 0 gets no group.
    """
    if len(parts) != 3 or min(parts) < 0 or parts[0] == 0 or abs(sum(parts) - 1) > 1e-6:
        raise ValueError(
            "`shares` must be three numbers of at least 0 that add up to 1, the first above 0. "
            f"Received: {tuple(parts)}."
        )
    drawn = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    first = round(parts[0] * len(drawn))
    # A part of share 0 stays empty however the boundaries are rounded.
    second = len(drawn) if parts[2] == 0 else round((parts[0] + parts[1]) * len(drawn))
    fold = Fold(tuple(drawn[:first]), tuple(drawn[first:second]), tuple(drawn[second:]))
    for share, part in zip(parts, (fold.train, fold.validation, fold.test), strict=True):
        if share > 0 and not part:
            raise ValueError(
                f"`shares` must each be worth a group; there are {len(drawn)}. "
                f"Received: {tuple(parts)}."
            )
    return fold


def check_fold(fold: Fold, subjects: Mapping[str, Sequence[str]]) -> None:
    """Checks that no subject is in two parts of a fold.

    Args:
        fold: A fold of splits.
        subjects: The subjects of every split.

    Raises:
        ValueError: If a split or a subject is in two parts, naming it.
    """
    seen: dict[str, str] = {}
    for part in ("train", "validation", "test"):
        splits = getattr(fold, part)
        # A split without subjects (a set that does not know them) counts as its own only subject.
        names = {name for split in splits for name in subjects.get(split) or (f"split {split}",)}
        for name in sorted(names):
            if name in seen:
                raise ValueError(
                    f"A subject must be in one part of a fold. "
                    f"Received: {name!r} in {seen[name]} and {part}."
                )
            seen[name] = part


def make_fold(source, protocol: str, index: int) -> Fold:
    """Makes one fold of a data set's splits.

    Args:
        source: A `pipeline.FaceSource`; its `subjects` (those of every split) is what counts.
        protocol: A protocol's name, see the module.
        index: Which fold, from 0.

    Returns:
        The fold, of names of splits, checked.

    Raises:
        ValueError: If the protocol is unknown or does not fit the set, if there is no such fold, or
            if a split holds subjects of two parts.
    """
    name, _, argument = protocol.partition(":")
    if protocol == "own":
        folds = [_own_splits(source.subjects)]
    elif protocol in _PUBLISHED:
        folds = _published(_PUBLISHED[protocol], source.subjects, protocol)
    elif name == "kfold" and argument.isdecimal():
        split_of = _split_of_first_subject(source.subjects, protocol)
        folds = [
            fold.map(lambda part: tuple(split_of[subject] for subject in part))
            for fold in k_fold(tuple(split_of), int(argument))
        ]
    elif name == "shares" and index >= 0:
        split_of = _split_of_first_subject(source.subjects, protocol)
        drawn = shares(tuple(split_of), _numbers(argument, protocol), seed=index)
        fold = drawn.map(lambda part: tuple(split_of[subject] for subject in part))
        check_fold(fold, source.subjects)
        return fold
    elif name == "shares":
        raise ValueError(f"`index` must be at least 0. Received: {index}.")
    elif name == "tuning":
        return _without_test(make_fold(source, argument, index), source.subjects, protocol, index)
    else:
        raise ValueError(f"`protocol` must be {_PROTOCOLS}. Received: {protocol!r}.")
    if not 0 <= index < len(folds):
        raise ValueError(
            f"`index` must be from 0 to {len(folds) - 1} for protocol {protocol!r}. "
            f"Received: {index}."
        )
    check_fold(folds[index], source.subjects)
    return folds[index]


def fold_count(protocol: str) -> int:
    """How many folds a protocol has.

    Raises:
        ValueError: If it is unknown, or has no end of folds, as random shares do.
    """
    name, _, argument = protocol.partition(":")
    if protocol == "own":
        return 1
    if protocol in _PUBLISHED:
        return len(_PUBLISHED[protocol])
    if name == "kfold" and argument.isdecimal() and int(argument) >= 2:
        return int(argument)
    if name == "tuning":
        return fold_count(argument)
    if name == "shares":
        raise ValueError(
            "`protocol` must have a number of folds to run them all; shares are drawn without "
            f"end. Received: {protocol!r}."
        )
    raise ValueError(f"`protocol` must be {_PROTOCOLS}. Received: {protocol!r}.")


def _own_splits(subjects: Mapping[str, Sequence[str]]) -> Fold:
    if "train" not in subjects or "test" not in subjects:
        raise ValueError(
            "`protocol` 'own' needs a set with the splits train and test. "
            f"Received: {', '.join(sorted(subjects))}."
        )
    return Fold(*((name,) if name in subjects else () for name in OWN_SPLITS))


def _published(
    folds: Sequence[Fold], subjects: Mapping[str, Sequence[str]], protocol: str
) -> list[Fold]:
    """Maps published folds onto splits; the set must hold exactly the published subjects."""
    expected = {subject for fold in folds for subject in (*fold.train, *fold.test)}
    found = {subject for names in subjects.values() for subject in names}
    if expected != found:
        raise ValueError(
            f"`protocol` {protocol!r} needs its {len(expected)} published subjects. Received: "
            f"{_named(expected - found)} missing, {_named(found - expected)} unknown."
        )

    def splits_of(part: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(split for split, names in subjects.items() if set(names) & set(part)))

    return [fold.map(splits_of) for fold in folds]


def _without_test(
    fold: Fold, subjects: Mapping[str, Sequence[str]], protocol: str, seed: int
) -> Fold:
    """The fold by which settings are chosen before anything of `fold` is tested."""
    if fold.validation:
        return Fold(fold.train, (), fold.validation)
    split_of = _split_of_first_subject({split: subjects[split] for split in fold.train}, protocol)
    drawn = shares(tuple(split_of), _TUNED_SHARES, seed)
    dealt = drawn.map(lambda part: tuple(split_of[subject] for subject in part))
    check_fold(dealt, subjects)
    return dealt


def _split_of_first_subject(subjects: Mapping[str, Sequence[str]], protocol: str) -> dict[str, str]:
    """Names every split by the first of its subjects, so that splits can be dealt by subject."""
    unknown = sorted(split for split, names in subjects.items() if not names)
    if unknown:
        raise ValueError(
            f"`protocol` {protocol!r} needs the subjects of every split (use 'own' for a set that "
            f"does not know them). Received: none for {_named(unknown)}."
        )
    return {min(names): split for split, names in subjects.items()}


def _numbers(argument: str, protocol: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in argument.split("-"))
    except ValueError:
        raise ValueError(f"`protocol` must be {_PROTOCOLS}. Received: {protocol!r}.") from None


def _named(names: Collection[str]) -> str:
    """Returns up to five of the names, sorted, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return (", ".join(ordered[:5]) or "none") + more
