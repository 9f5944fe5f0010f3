from types import SimpleNamespace

import pytest

from tfface.data import folds
from tfface.data.folds import (
    BP4D_DEVELOPMENT,
    BP4D_PARTS,
    BP4D_TRAINING,
    DISFA_PARTS,
    Fold,
)


def source_of(subjects):
    return SimpleNamespace(subjects=subjects)


def one_split_a_subject(names):
    return source_of({f"subject_{name}": (name,) for name in names})


# The counts are the paper's: BP4D 28 subjects train and 13 test, DISFA 18 and 9.
@pytest.mark.parametrize(
    ("parts", "sizes", "universe"),
    [
        (
            BP4D_PARTS,
            (14, 14, 13),
            {f"F{i:03}" for i in range(1, 24)} | {f"M{i:03}" for i in range(1, 19)},
        ),
        (
            DISFA_PARTS,
            (9, 9, 9),
            # DISFA has no subjects 14, 15, 19, 20 and 22.
            {f"SN{i:03}" for i in range(1, 33)} - {f"SN{i:03}" for i in (14, 15, 19, 20, 22)},
        ),
    ],
)
def test_published_parts_hold_every_subject_once(parts, sizes, universe):
    assert tuple(len(part) for part in parts) == sizes
    names = [name for part in parts for name in part]
    assert len(names) == len(set(names))
    assert set(names) == universe


# Read again from the design's page of facts, where they stand as published with JAA-Net: letter,
# then the numbers of each part.
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (BP4D_PARTS[0], "F 1 2 8 9 10 16 18 23 M 1 4 7 8 12 14"),
        (BP4D_PARTS[1], "F 3 5 11 13 20 22 M 2 5 10 11 13 16 17 18"),
        (BP4D_PARTS[2], "F 4 6 7 12 14 15 17 19 21 M 3 6 9 15"),
        (DISFA_PARTS[0], "SN 1 2 9 10 16 26 27 30 32"),
        (DISFA_PARTS[1], "SN 6 11 12 13 18 21 24 28 31"),
        (DISFA_PARTS[2], "SN 3 4 5 7 8 17 23 25 29"),
    ],
)
def test_published_parts_are_the_published_ones(part, expected):
    letter, names = "", []
    for word in expected.split():
        if word.isdecimal():
            names.append(f"{letter}{int(word):03}")
        else:
            letter = word
    assert part == tuple(names)


def test_the_development_partition_of_bp4d_deals_odd_and_even_numbers():
    # FERA 2015 trains on 21 of the 41 subjects and develops on 20.
    assert (len(BP4D_TRAINING), len(BP4D_DEVELOPMENT)) == (21, 20)
    assert all(int(name[1:]) % 2 == 1 for name in BP4D_TRAINING)
    everyone = sorted(name for part in BP4D_PARTS for name in part)
    assert sorted(BP4D_TRAINING + BP4D_DEVELOPMENT) == everyone
    fold = folds.make_fold(one_split_a_subject(everyone), "bp4d_development", 0)
    assert fold.train == tuple(f"subject_{name}" for name in sorted(BP4D_TRAINING))
    assert fold.validation == ()
    assert fold.test == tuple(f"subject_{name}" for name in sorted(BP4D_DEVELOPMENT))


# Every protocol of the five papers, on the subjects of the set that it is for.
BP4D_SUBJECTS = [name for part in BP4D_PARTS for name in part]
DISFA_SUBJECTS = [name for part in DISFA_PARTS for name in part]
CK_PLUS_SUBJECTS = [f"S{number:03}" for number in range(5, 128)]
OULU_SUBJECTS = [f"P{number:03}" for number in range(1, 81)]


@pytest.mark.parametrize(
    ("protocol", "subjects", "count"),
    [
        ("bp4d_3fold", BP4D_SUBJECTS, 3),
        ("bp4d_development", BP4D_SUBJECTS, 1),
        ("shares:0.6-0.2-0.2", BP4D_SUBJECTS, 3),
        ("disfa_3fold", DISFA_SUBJECTS, 3),
        ("kfold:10", CK_PLUS_SUBJECTS, 10),
        ("kfold:5", CK_PLUS_SUBJECTS, 5),
        ("kfold:10", OULU_SUBJECTS, 10),
        ("kfold:5", OULU_SUBJECTS, 5),
    ],
)
def test_nobody_stands_in_two_parts_of_a_protocol(protocol, subjects, count):
    source = one_split_a_subject(subjects)
    tested = []
    for index in range(count):
        fold = folds.make_fold(source, protocol, index)
        parts = [
            {name for split in part for name in source.subjects[split]}
            for part in (fold.train, fold.validation, fold.test)
        ]
        assert sum(len(part) for part in parts) == len(set.union(*parts)) == len(subjects)
        tested += parts[2]
    if count > 1 and not protocol.startswith("shares"):
        assert sorted(tested) == sorted(subjects)  # each tests once


def test_three_fold_tests_each_part_once():
    assert folds.three_fold((("a", "b"), ("c",), ("d",))) == (
        Fold(("c", "d"), (), ("a", "b")),
        Fold(("a", "b", "d"), (), ("c",)),
        Fold(("a", "b", "c"), (), ("d",)),
    )


def test_k_fold_deals_sorted_names_in_turn():
    assert folds.k_fold(["e", "a", "d", "c", "b"], 2) == (
        Fold(("b", "d"), (), ("a", "c", "e")),
        Fold(("a", "c", "e"), (), ("b", "d")),
    )


def test_shares_are_rounded_disjoint_and_complete():
    names = [f"S{i:02}" for i in range(41)]
    fold = folds.shares(names, (0.6, 0.2, 0.2))
    # 0.6 * 41 = 24.6 and 0.8 * 41 = 32.8: boundaries at 25 and 33.
    assert [len(part) for part in (fold.train, fold.validation, fold.test)] == [25, 8, 8]
    assert sorted(fold.train + fold.validation + fold.test) == names


def test_shares_do_not_depend_on_the_order_of_names_but_on_the_seed():
    names = [f"S{i:02}" for i in range(20)]
    assert folds.shares(names, (0.5, 0, 0.5)) == folds.shares(names[::-1], (0.5, 0, 0.5))
    assert folds.shares(names, (0.5, 0, 0.5), 1) != folds.shares(names, (0.5, 0, 0.5), 2)


@pytest.mark.parametrize("parts", [(0.7, 0, 0.3), (0.75, 0.25, 0), (1, 0, 0)])
def test_a_share_of_nothing_is_empty(parts):
    for count in range(4, 30):
        fold = folds.shares([f"S{i:02}" for i in range(count)], parts)
        empty = [not part for part in (fold.train, fold.validation, fold.test)]
        assert empty == [share == 0 for share in parts]


@pytest.mark.parametrize("parts", [(0.5, 0.2, 0.2), (1.2, -0.2, 0), (0, 0.5, 0.5), (0.5, 0.5)])
def test_bad_shares(parts):
    with pytest.raises(ValueError, match="three numbers of at least 0 that add up to 1"):
        folds.shares(["a", "b", "c"], parts)


def test_a_share_worth_no_group():
    with pytest.raises(ValueError, match="worth a group; there are 3"):
        folds.shares(["a", "b", "c"], (0.9, 0.05, 0.05))


@pytest.mark.parametrize("k", [0, 1, 4])
def test_k_that_does_not_fit(k):
    with pytest.raises(ValueError, match=f"number of groups, 3. Received: {k}"):
        folds.k_fold(["a", "b", "c"], k)


def test_the_papers_fold_of_bp4d():
    source = one_split_a_subject(name for part in BP4D_PARTS for name in part)
    fold = folds.make_fold(source, "bp4d_3fold", 2)
    assert sorted(fold.train) == sorted(f"subject_{s}" for s in BP4D_PARTS[0] + BP4D_PARTS[1])
    assert fold.validation == ()
    assert sorted(fold.test) == sorted(f"subject_{s}" for s in BP4D_PARTS[2])


def test_published_folds_need_exactly_their_subjects():
    names = [name for part in DISFA_PARTS for name in part]
    with pytest.raises(ValueError, match="SN001 missing, SN099 unknown"):
        folds.make_fold(one_split_a_subject([*names[1:], "SN099"]), "disfa_3fold", 0)


def test_a_split_with_subjects_of_two_parts():
    subjects = {f"subject_{name}": (name,) for part in DISFA_PARTS for name in part}
    del subjects["subject_SN006"]
    subjects["subject_SN001"] = ("SN001", "SN006")
    with pytest.raises(ValueError, match=r"one part of a fold.*'SN00[16]' in train and test"):
        folds.make_fold(source_of(subjects), "disfa_3fold", 0)


def test_kfold_of_splits_that_group_subjects_deals_their_subjects():
    # Ten sorted subjects dealt into four splits, as a builder does with many subjects.
    names = [f"P{i}" for i in range(10)]
    source = source_of({f"group_{g:02}": tuple(names[g::4]) for g in range(4)})
    fold = folds.make_fold(source, "kfold:2", 1)
    assert fold == Fold(("group_00", "group_02"), (), ("group_01", "group_03"))


def test_kfold_goes_by_subject_not_by_name_of_split():
    source = source_of({"z": ("A1",), "y": ("A2",), "x": ("A3",)})
    assert folds.make_fold(source, "kfold:3", 0).test == ("z",)


@pytest.mark.parametrize("protocol", ["kfold:4", "shares:0.5-0.25-0.25"])
def test_every_fold_covers_the_set(protocol):
    source = one_split_a_subject(f"S{i}" for i in range(9))
    for index in range(4):
        fold = folds.make_fold(source, protocol, index)
        assert sorted(fold.train + fold.validation + fold.test) == sorted(source.subjects)


@pytest.mark.parametrize(
    ("protocol", "trained", "tested"),
    [("kfold:4", 7, 2), ("shares:0.7-0-0.3", 6, 2), ("shares:0.5-0.2-0.3", 5, 2)],
)
def test_settings_are_chosen_without_a_look_at_who_tests(protocol, trained, tested):
    """Of 12 people: a quarter of those who train, or those who validate."""
    source = one_split_a_subject(f"S{i:02}" for i in range(12))
    for index in range(4):
        whole = folds.make_fold(source, protocol, index)
        fold = folds.make_fold(source, f"tuning:{protocol}", index)
        assert fold.validation == ()
        assert not set(fold.train + fold.test) & set(whole.test)
        if whole.validation:
            assert (fold.train, fold.test) == (whole.train, whole.validation)
        else:
            assert sorted(fold.train + fold.test) == sorted(whole.train)
        assert (len(fold.train), len(fold.test)) in {(trained, tested), (trained + 1, tested)}
        assert fold == folds.make_fold(source, f"tuning:{protocol}", index)  # drawn alike again


def test_settings_of_a_set_that_comes_dealt():
    dealt = {"train": (), "validation": (), "test": ()}
    fold = folds.make_fold(source_of(dealt), "tuning:own", 0)
    assert fold == Fold(("train",), (), ("validation",))
    with pytest.raises(ValueError, match="'tuning:own' needs the subjects of every split"):
        folds.make_fold(source_of({"train": (), "test": ()}), "tuning:own", 0)
    with pytest.raises(ValueError, match="must each be worth a group; there are 1"):
        folds.make_fold(source_of({"train": ("a",), "test": ("b",)}), "tuning:own", 0)


def test_draws_of_shares_differ():
    source = one_split_a_subject(f"S{i}" for i in range(9))
    draws = {folds.make_fold(source, "shares:0.7-0-0.3", index).test for index in range(5)}
    assert len(draws) > 1


def test_own_splits():
    source = source_of({"test": (), "train": ()})
    assert folds.make_fold(source, "own", 0) == Fold(("train",), (), ("test",))
    with pytest.raises(ValueError, match="use 'own'"):
        folds.make_fold(source, "kfold:2", 0)
    with pytest.raises(ValueError, match="needs a set with the splits train and test"):
        folds.make_fold(one_split_a_subject(["a", "b"]), "own", 0)


@pytest.mark.parametrize(
    "protocol",
    [
        *("", "loso", "kfold", "kfold:", "kfold:x", "kfold:-2", "bp4d_3fold:1", "shares:a-b"),
        *("tuning", "tuning:", "tuning:loso"),
    ],
)
def test_unknown_protocols(protocol):
    with pytest.raises(ValueError, match="`protocol` must be 'bp4d_3fold'"):
        folds.make_fold(one_split_a_subject(["a", "b"]), protocol, 0)


@pytest.mark.parametrize(("protocol", "index"), [("kfold:2", 2), ("kfold:2", -1), ("own", 1)])
def test_no_such_fold(protocol, index):
    source = source_of({"train": ("a",), "test": ("b",)})
    with pytest.raises(ValueError, match=f"`index` must be from 0 to .* Received: {index}"):
        folds.make_fold(source, protocol, index)


@pytest.mark.parametrize(
    ("protocol", "count"),
    [
        ("bp4d_3fold", 3),
        ("bp4d_development", 1),
        ("disfa_3fold", 3),
        ("kfold:2", 2),
        ("kfold:10", 10),
        ("own", 1),
        ("tuning:kfold:10", 10),
    ],
)
def test_how_many_folds_a_protocol_has(protocol, count):
    assert folds.fold_count(protocol) == count


def test_every_fold_that_is_counted_can_be_made_and_no_other():
    source = one_split_a_subject(f"S{i}" for i in range(5))
    count = folds.fold_count("kfold:4")
    tested = [folds.make_fold(source, "kfold:4", index).test for index in range(count)]
    assert sorted(name for part in tested for name in part) == sorted(source.subjects)
    with pytest.raises(ValueError, match="`index` must be from 0 to 3"):
        folds.make_fold(source, "kfold:4", count)


def test_shares_have_no_number_of_folds():
    with pytest.raises(ValueError, match="a number of folds .* Received: 'shares:0.7-0-0.3'"):
        folds.fold_count("shares:0.7-0-0.3")


@pytest.mark.parametrize(
    "protocol", ["", "loso", "kfold", "kfold:x", "kfold:-2", "kfold:0", "kfold:1", "bp4d_3fold:1"]
)
def test_folds_of_no_protocol_are_not_counted(protocol):
    with pytest.raises(ValueError, match="`protocol` must be 'bp4d_3fold'"):
        folds.fold_count(protocol)


def test_a_draw_of_shares_below_0():
    with pytest.raises(ValueError, match="`index` must be at least 0"):
        folds.make_fold(one_split_a_subject(["a", "b"]), "shares:0.5-0-0.5", -1)


def test_check_fold_finds_a_person_in_two_splits():
    fold = Fold(("one",), ("two",), ())
    folds.check_fold(fold, {"one": ("a",), "two": ("b",)})
    with pytest.raises(ValueError, match="'a' in train and validation"):
        folds.check_fold(fold, {"one": ("a",), "two": ("b", "a")})


def test_check_fold_finds_a_split_in_two_parts():
    with pytest.raises(ValueError, match="'split one' in train and test"):
        folds.check_fold(Fold(("one",), (), ("one",)), {"one": ()})
