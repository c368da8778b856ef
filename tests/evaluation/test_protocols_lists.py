import itertools
from collections import Counter

import numpy as np
import pytest

from keras_face.evaluation.protocols import (
    Pairs,
    deal_people,
    folder_identification,
    folder_pairs,
    pairs_by_rule,
    people_pairs,
    read_cfp,
    read_pairs,
    read_people,
    read_ytf_splits,
)


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def as_set(pairs, genuine):
    return {
        frozenset(pair) for *pair, flag in zip(pairs.left, pairs.right, pairs.genuine, strict=True) if flag == genuine
    }


# Pairs


@pytest.mark.parametrize(
    "sizes, fold, message",
    [
        ((3, 3, 2), [0, 0, 0], r"expected pairs with as many left, right, genuine and fold, got \[3, 3, 2, 3\]"),
        ((0, 0, 0), [], r"got \[0, 0, 0, 0\]"),
        ((3, 3, 3), [0, 0, 3], r"expected pairs in each fold 0 \.\.\. k, got none in \[1, 2\]"),
        ((3, 3, 3), [1, 1, 2], r"got none in \[0\]"),
    ],
)
def test_pairs_of_unequal_sizes_or_with_an_empty_fold_are_refused(sizes, fold, message):
    left, right, genuine = sizes
    with pytest.raises(ValueError, match=f"mine: .*{message}"):
        Pairs("mine", ("a",) * left, ("b",) * right, np.ones(genuine, bool), np.array(fold, int))


def test_leaving_out_all_pairs_of_one_polarity_is_refused():
    pairs = Pairs("mine", ("a", "b"), ("c", "d"), np.array([True, False]), np.zeros(2, int))
    with pytest.raises(ValueError, match="mine: leaving out 1 bad photos leaves pairs of one polarity only"):
        pairs.without({"d"}, "bad photos")


# SeqFace's and CPLFW's lists


def test_a_list_with_the_flag_at_the_end_of_the_line(tmp_path):
    lines = [f"A/{i}.jpg  B/{i}.jpg {int(i < 10)}" for i in range(30)]
    pairs = read_pairs(written(tmp_path / "lfw_test_pair.txt", "\n".join(lines)))
    assert (pairs.left[3], pairs.right[3]) == ("A/3.jpg", "B/3.jpg")
    assert pairs.genuine.tolist() == [True] * 10 + [False] * 20
    assert pairs.fold.tolist() == [*range(10), *(i // 2 for i in range(20))]


def test_lines_of_lfw_without_a_header_are_pairs_in_any_order(tmp_path):
    pairs = read_pairs(written(tmp_path / "pairs.txt", "Ann 1 2\nBob 2 Cyd 3\nDan 3 Eve 5\nBob 1 3\n"))
    assert pairs.genuine.tolist() == [True, False, False, True]
    assert (pairs.left[0], pairs.right[0]) == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg")
    assert (pairs.left[1], pairs.right[1]) == ("Bob/Bob_0002.jpg", "Cyd/Cyd_0003.jpg")
    assert pairs.fold.tolist() == [0, 0, 1, 1]  # two of either polarity: two folds
    assert pairs.protocol == "pairs of pairs.txt, 2 folds by position"


@pytest.mark.parametrize(
    "line, pair",
    [
        ("one, a/1 2.jpg\tone, a/2.jpg\t{}", ("one, a/1 2.jpg", "one, a/2.jpg")),
        ("{}\tone, a/1 2.jpg\tone, a/2.jpg", ("one, a/1 2.jpg", "one, a/2.jpg")),
    ],
)
def test_tabs_divide_paths_with_blanks_and_commas(tmp_path, line, pair):
    pairs = read_pairs(written(tmp_path / "pairs.txt", "\n".join(line.format(flag) for flag in (1, 0, 1, 0))))
    assert (pairs.left[0], pairs.right[0]) == pair
    assert pairs.genuine.tolist() == [True, False, True, False]


def test_tabs_divide_names_of_lfw_with_blanks(tmp_path):
    lines = ["Ann Lee\t1\t2", "Bo\t1\tAnn Lee\t3"] * 2
    pairs = read_pairs(written(tmp_path / "pairs.txt", "\n".join(lines)))
    assert (pairs.left[1], pairs.right[1]) == ("Bo/Bo_0001.jpg", "Ann Lee/Ann Lee_0003.jpg")
    assert pairs.genuine.tolist() == [True, False, True, False]


@pytest.mark.parametrize("header", ["left,right,genuine", "Image_1, Image_2 ,LABEL", "path1,path2,same"])
def test_pairs_below_a_header_of_csv(tmp_path, header):
    rows = ['"a, 1.jpg",b.jpg,1', "c.jpg,d.jpg,no", "e.jpg,f.jpg,True", "g.jpg,h.jpg,0"]
    pairs = read_pairs(written(tmp_path / "pairs.csv", "\n".join([header, *rows])))
    assert (pairs.left[0], pairs.right[0]) == ("a, 1.jpg", "b.jpg")
    assert pairs.genuine.tolist() == [True, False, True, False]


@pytest.mark.parametrize("header", ["", "name same_person\r\n"])
def test_a_list_of_two_lines_a_pair(tmp_path, header):
    lines = [f"P{i}_{k}.jpg {int(i < 10)}" for i in range(20) for k in (1, 2)]
    pairs = read_pairs(written(tmp_path / "pairs_CPLFW.txt", header + "\r\n".join(lines)))
    assert pairs.left == tuple(f"P{i}_1.jpg" for i in range(20))
    assert pairs.right == tuple(f"P{i}_2.jpg" for i in range(20))
    assert pairs.genuine.tolist() == [True] * 10 + [False] * 10
    assert pairs.fold.tolist() == [*range(10)] * 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("A/1 B/1 1\nA/1 B/1\n", r"pairs\.txt, line 2: expected `path path 1` .* got 'A/1 B/1'"),
        ("A/1 B/1 1\nA/1 B/1 2\n", "line 2: expected `path path 1`"),
        ("A/1 B/1 1\nA 1 1\n", "line 2: expected `path path 1`"),
        ("A 1 1\n", "line 1: expected a first line like"),
        ("A/1 B/1 1\n" * 12, r"pairs\.txt: expected 2 or more pairs for 2 folds, got 0 impostor ones"),
        ("Ann 1 2\nAnn 1\n", "line 2: expected `Name 1 4` .genuine. or `Name 1 Other 4` .impostor., got 'Ann 1'"),
        ("Ann one two\n", "line 1: expected a first line like .*`Ann 1 2` or `Ann 1 Bob 3`.*, got 'Ann one two'"),
        (
            "left,right,genuine\na,b,1\nc,d,maybe\n",
            r"line 3: expected two photos, and 1 .same person. or 0, got 'c,d,m",
        ),
        ("path1,path2,same\na,b\n", "line 2: expected 3 fields as in the header"),
        ("name same_person\na 1\nb\n", "line 3: expected `name 1`"),
        ("a 1\nb 1\nc 0\n", "expected two lines a pair, got 3 lines"),
        ("name same_person\n", "expected two lines a pair, got 0 lines"),
        ("a 1\nb 0\n", "line 2: expected the second line of a pair, with 1 as the first has, got 'b 0'"),
        ("a 0\nb 0\n" * 12, r"pairs\.txt: .* got 0 genuine ones"),
    ],
)
def test_a_bad_line_of_a_list_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_pairs(written(tmp_path / "pairs.txt", text))


def test_seqface_s_list_of_lfw_has_the_folds_of_view_2(real_photos):
    theirs = read_pairs(real_photos / "known_answer_roc" / "seqface" / "LFW" / "pairs.txt")
    view_2 = read_pairs(real_photos / "lfw" / "protocol" / "pairs.txt")
    rows = [sorted(zip(p.left, p.right, p.genuine.tolist(), p.fold.tolist(), strict=True)) for p in (theirs, view_2)]
    assert rows[0] == rows[1]


def test_the_official_list_of_cplfw_has_its_published_counts(real_photos):
    pairs = read_pairs(real_photos / "protocols" / "pairs_CPLFW.txt")
    assert Counter(zip(pairs.fold.tolist(), pairs.genuine.tolist(), strict=True)) == {
        (fold, genuine): 300 for fold in range(10) for genuine in (True, False)
    }
    same = [a.rsplit("_", 1)[0] == b.rsplit("_", 1)[0] for a, b in zip(pairs.left, pairs.right, strict=True)]
    assert same == pairs.genuine.tolist()


def test_seqface_s_list_of_ytf_has_the_corrected_counts(real_photos):
    pairs = read_ytf_splits(real_photos / "known_answer_roc" / "seqface" / "YTF" / "pairs.txt")
    assert (pairs.genuine.sum(), (~pairs.genuine).sum()) == (2400, 2600)
    assert np.bincount(pairs.fold).tolist() == [500] * 10
    assert "labels as given" in pairs.protocol


def test_splits_of_one_polarity_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"splits\.txt: expected genuine and impostor pairs, got 2 of one polarity"):
        read_ytf_splits(written(tmp_path / "splits.txt", "1, 1, A/0, A/1, 1\n2, 1, B/0, B/1, 1"))


# CFP


def cfp(folder, **files):
    lists = {
        "Pair_list_F.txt": "1 ../Data/Images/001/frontal/01.jpg\n2 ../Data/Images/002/frontal/01.jpg\n"
        "3 ../Data/Images/001/frontal/02.jpg\n",
        "Pair_list_P.txt": "1 ../Data/Images/001/profile/01.jpg\n2 ../Data/Images/002/profile/01.jpg\n",
        "Split/FP/01/same.txt": "1,1\n",
        "Split/FP/01/diff.txt": "2,1\n1,2\n",
        "Split/FP/02/same.txt": "2,2",
        "Split/FP/02/diff.txt": "3,2",
        "Split/FF/01/same.txt": "1,3\n",
        "Split/FF/01/diff.txt": "1,2\n",
    }
    for name, text in {**lists, **files}.items():
        written(folder / name, text)
    return folder


def test_cfp_pairs_are_numbers_of_frontal_and_profile_photos(tmp_path):
    pairs = read_cfp(cfp(tmp_path))
    assert list(zip(pairs.left, pairs.right, strict=True)) == [
        ("001/frontal/01.jpg", "001/profile/01.jpg"),
        ("002/frontal/01.jpg", "001/profile/01.jpg"),
        ("001/frontal/01.jpg", "002/profile/01.jpg"),
        ("002/frontal/01.jpg", "002/profile/01.jpg"),
        ("001/frontal/02.jpg", "002/profile/01.jpg"),
    ]
    assert pairs.genuine.tolist() == [True, False, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 0, 1, 1]
    assert pairs.protocol == "CFP-FP, 2 folds of the split files"
    assert read_cfp(tmp_path, "FF").right == ("001/frontal/02.jpg", "002/frontal/01.jpg")


@pytest.mark.parametrize(
    "files, message",
    [
        ({"Split/FP/02/same.txt": "2,2\n2;2"}, r"02/same\.txt, line 2: expected `5,1`, numbers of the photo lists"),
        ({"Split/FP/02/same.txt": "2,3"}, "line 1: expected `5,1`"),
        ({"Split/FP/02/same.txt": ""}, "expected pairs, found none"),
        ({"Split/FP/02/same.txt": "1,2"}, "line 1: expected photos of one person .001/frontal/01.jpg, 002/profile/01"),
        ({"Split/FP/01/diff.txt": "2,1\n2,2"}, "line 2: expected photos of two people"),
        ({"Pair_list_P.txt": "1 a/b/c.jpg\n1 a/b/d.jpg"}, r"Pair_list_P\.txt, line 2: expected .* each number once"),
    ],
)
def test_a_bad_line_of_cfp_is_named(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        read_cfp(cfp(tmp_path, **files))


def test_the_official_cfp_splits_have_their_published_counts(real_photos):
    for views in ("FF", "FP"):
        pairs = read_cfp(real_photos / "protocols" / "cfp", views)
        assert Counter(zip(pairs.fold.tolist(), pairs.genuine.tolist(), strict=True)) == {
            (fold, genuine): 350 for fold in range(10) for genuine in (True, False)
        }
        # 500 people, 50 in each fold, nobody in two.
        people = [
            {
                key[:3]
                for side in (pairs.left, pairs.right)
                for key, at in zip(side, pairs.fold, strict=True)
                if at == fold
            }
            for fold in range(10)
        ]
        assert sum(map(len, people)) == len(set.union(*people)) == 500
        assert {key.split("/")[1] for key in pairs.right} == {"frontal" if views == "FF" else "profile"}


# People


def test_people_of_either_view_are_read(tmp_path):
    view_1 = read_people(written(tmp_path / "peopleDevTest.txt", "2\nA_B 1\nC\t2\n"))
    assert view_1 == ({"A_B": ("A_B/A_B_0001.jpg",), "C": ("C/C_0001.jpg", "C/C_0002.jpg")},)
    view_2 = read_people(written(tmp_path / "people.txt", "2\n1\nA 1\n2\nB 1\nC 2\n"))
    assert [list(people) for people in view_2] == [["A"], ["B", "C"]]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a list of people that begins with a number, the file is empty"),
        ("A 1", "begins with a number, got 'A 1'"),
        ("2\nA 1", "expected 2 people after line 1, got 1"),
        ("1\nA 1\nB 1", "line 3: expected no more after 1 sets, got 'B 1'"),
        ("2\n1\nA 1\n", "expected another set of people at the end"),
        ("2\n1\nA 1\nB 2\n", "line 4: expected the number of people in a set, got 'B 2'"),
        ("2\nA 1\nB x", "line 3: expected `Name 4`, a person"),
        ("2\nA 1\nB 0", "line 3: expected `Name 4`, a person"),
        ("2\nA 1\nA 2", "line 3: expected each person once, got 'A 2'"),
    ],
)
def test_a_bad_list_of_people_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"people\.txt.*{message}"):
        read_people(written(tmp_path / "people.txt", text))


def test_the_official_lists_of_people_have_their_published_counts(real_photos):
    folder = real_photos / "lfw" / "protocol"
    sets = read_people(folder / "people.txt")
    everybody = {name: photos for people in sets for name, photos in people.items()}
    assert (len(sets), len(everybody)) == (10, 5749)
    assert sum(map(len, everybody.values())) == 13233
    # All pairs of one person that the unrestricted configuration allows.
    assert sum(len(photos) * (len(photos) - 1) // 2 for photos in everybody.values()) == 242257
    (train,), (test,) = read_people(folder / "peopleDevTrain.txt"), read_people(folder / "peopleDevTest.txt")
    assert (len(train), sum(map(len, train.values())), len(test)) == (4038, 9525, 1711)
    assert not set(train) & set(test)
    assert {**train, **test} == everybody
    # The people of View 2's pairs are those of the same set.
    pairs = read_pairs(folder / "pairs.txt")
    for key, fold in zip(pairs.left + pairs.right, [*pairs.fold, *pairs.fold], strict=True):
        assert key in sets[fold][key.split("/")[0]]


# Pairs by rule

FOLDS = [{"A": ("a1", "a2", "a3"), "B": ("b1",)}, {"C": ("c1", "c2"), "D": ("d1", "d2"), "E": ("e1",)}]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_by_rule_are_balanced_distinct_and_within_their_folds(seed):
    person = {photo: name for people in FOLDS for name, photos in people.items() for photo in photos}
    pairs = pairs_by_rule(FOLDS, name="mine", num_pairs=2, seed=seed)
    assert pairs.genuine.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4
    assert [person[a] == person[b] for a, b in zip(pairs.left, pairs.right, strict=True)] == pairs.genuine.tolist()
    assert len({frozenset(pair) for pair in zip(pairs.left, pairs.right, strict=True)}) == 8
    for fold, people in enumerate(FOLDS):
        sides = {
            key for side in (pairs.left, pairs.right) for key, at in zip(side, pairs.fold, strict=True) if at == fold
        }
        assert sides <= set(itertools.chain(*people.values()))
    assert f"seed {seed}" in pairs.protocol
    again = pairs_by_rule(FOLDS, name="mine", num_pairs=2, seed=seed)
    assert (again.left, again.right) == (pairs.left, pairs.right)


def test_without_a_number_there_are_as_many_pairs_as_every_fold_has():
    # The first fold has 3 genuine and 3 impostor pairs, the second 2 genuine and 8 impostor ones.
    pairs = pairs_by_rule(FOLDS, name="mine")
    assert np.bincount(pairs.fold).tolist() == [4, 4]
    assert as_set(pairs, True) >= {frozenset(("c1", "c2")), frozenset(("d1", "d2"))}


def test_a_genuine_pair_is_drawn_by_person_first_as_lfw_did():
    people = {"many": tuple(f"m{i}" for i in range(40)), "few": ("f1", "f2", "f3", "f4")}
    drawn = Counter()
    for seed in range(400):
        drawn[pairs_by_rule([people], name="mine", num_pairs=1, seed=seed).left[0][0]] += 1
    # By photos the few would be 6 of 786 pairs; by people they are half, 200 with a deviation of 10.
    assert 150 < drawn["f"] < 250


def test_the_pairs_of_a_seed_are_these_for_ever():
    pairs = pairs_by_rule(FOLDS, name="mine", num_pairs=1, seed=7)
    # Written down on NumPy 2.4; RandomState's numbers are promised never to change.
    assert list(zip(pairs.left, pairs.right, strict=True)) == PAIRS_OF_SEED_7


PAIRS_OF_SEED_7 = [("a1", "a3"), ("a1", "b1"), ("d1", "d2"), ("c1", "e1")]


@pytest.mark.parametrize(
    "folds, number, message",
    [
        ([{"A": "ab", "B": "cd"}, {"A": "ab", "C": "de"}], 1, "expected each person in one fold, got A in several"),
        (FOLDS, 3, "expected people and photos for 3 genuine and as many impostor pairs in each fold, got 2"),
        (FOLDS, 0, "for 1 genuine"),
        ([{"A": "a", "B": "b"}], None, "for 1 genuine and as many impostor pairs in each fold, got 0 in one of 1"),
        ([{"A": "abc"}], None, "got 0 in one of 1"),
    ],
)
def test_too_few_people_or_photos_are_refused(folds, number, message):
    with pytest.raises(ValueError, match=message):
        pairs_by_rule(folds, name="mine", num_pairs=number)


def test_people_are_dealt_so_that_each_fold_has_some_with_two_photos():
    people = {f"P{i}": tuple(f"P{i}/{k}" for k in range(1 + (i < 7))) for i in range(20)}
    folds = deal_people(people, 5, seed=1)
    assert sorted(name for fold in folds for name in fold) == sorted(people)
    assert [len(fold) for fold in folds] == [4] * 5
    assert {sum(len(photos) > 1 for photos in fold.values()) for fold in folds} == {1, 2}
    assert deal_people(people, 5, seed=2) != folds
    with pytest.raises(
        ValueError, match="16 or more people, 8 or more of them with two photos, for 8 folds, got 20 and 7"
    ):
        deal_people(people, 8, seed=1)
    with pytest.raises(ValueError, match="num_folds must be >= 2"):
        deal_people(people, 1, seed=1)


def test_a_folder_of_people_gives_pairs_whose_folds_share_nobody(real_photos):
    people = {
        folder.name: sorted(f"{folder.name}/{photo.name}" for photo in folder.glob("*.*"))
        for folder in sorted((real_photos / "orl_faces").iterdir())
        if folder.is_dir()
    }
    pairs = folder_pairs(people, "orl_faces", seed=3)
    # 40 people of 10 photos, 4 in each fold: 180 genuine pairs in each.
    assert pairs.genuine.size == 10 * 2 * 180
    assert pairs.protocol == (
        "own people (orl_faces), 10 folds by people, 180 genuine and 180 impostor pairs each by LFW's rule, seed 3"
    )
    folds = [
        {
            key.split("/")[0]
            for side in (pairs.left, pairs.right)
            for key, at in zip(side, pairs.fold, strict=True)
            if at == f
        }
        for f in range(10)
    ]
    assert [len(fold) for fold in folds] == [4] * 10
    assert len(set.union(*folds)) == 40
    assert all((real_photos / "orl_faces" / key).is_file() for key in pairs.distinct_keys())


def test_too_few_of_ones_own_people_are_refused():
    with pytest.raises(ValueError, match="mine: expected 20 or more people"):
        folder_pairs({"A": ("A/1.jpg", "A/2.PNG"), "B": ("B/1.jpg",)}, "mine")
    for protocol in (folder_pairs, folder_identification):
        with pytest.raises(ValueError, match=r"mine/C: expected photos of a person, found none"):
            protocol({"A": ("A/1.jpg", "A/2.PNG"), "C": ()}, "mine")


def test_each_photo_of_ones_own_people_is_looked_up_among_all_others():
    protocol = folder_identification({"A": ("A/1.jpg", "A/2.jpg"), "B": ("B/1.jpg",)}, "mine")
    assert protocol.probes == protocol.gallery == ("A/1.jpg", "A/2.jpg", "B/1.jpg")
    assert protocol.same_photo.tolist() == [0, 1, 2]
    assert protocol.mated().tolist() == [True, True, False]
    assert protocol.protocol == "own people (mine), each photo among all others"
    with pytest.raises(ValueError, match="expected probes with a mate in the gallery, got none of 2"):
        folder_identification({"A": ("A/1.jpg",), "B": ("B/1.jpg",)}, "mine")


def test_unrestricted_pairs_of_lfw_have_the_sets_as_folds(real_photos):
    folder = real_photos / "lfw" / "protocol"
    sets = read_people(folder / "people.txt")
    pairs = people_pairs(folder / "people.txt", num_pairs=50, seed=4)
    assert Counter(zip(pairs.fold.tolist(), pairs.genuine.tolist(), strict=True)) == {
        (fold, genuine): 50 for fold in range(10) for genuine in (True, False)
    }
    for left, right, fold in zip(pairs.left, pairs.right, pairs.fold, strict=True):
        assert left.split("/")[0] in sets[fold]
        assert right.split("/")[0] in sets[fold]
    assert pairs.protocol.startswith("LFW unrestricted (people.txt), 10 folds by people, 50 genuine and 50 impostor")
    view_1 = people_pairs(folder / "peopleDevTest.txt", num_pairs=30)
    assert np.bincount(view_1.fold).tolist() == [60] * 10
