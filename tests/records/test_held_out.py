"""People who are held out are in no batch, and who they are is a rule about their names."""

import math
from collections import Counter

import cv2
import numpy as np
import pytest

from keras_face.records import held_out, writing
from keras_face.records.streams import mix, train_stream

SIZE = (4, 4)
PEOPLE = [f"Person {number}" for number in range(12)]
OUT = {name for name in PEOPLE if held_out.is_held_out(name, 0.4, 0)}


def write(path, sets, names=PEOPLE):
    """Writes records of (label, number of photos), each photo of one colour of its own."""
    colours = iter(range(1, 10_000))
    face_sets = []
    for number, (label, count) in enumerate(sets):
        photos = [np.full((*SIZE, 3), (*divmod(next(colours), 256), 0), np.uint8) for _ in range(count)]
        encoded = [cv2.imencode(".png", photo)[1].tobytes() for photo in photos]
        who = names[label] if label >= 0 else "track"
        face_sets.append(writing.FaceSet(encoded, label, "|".join(f"{who}/{number}_{i}.png" for i in range(count))))
    output = writing.Output(path, 2)
    return writing.write_records(output, face_sets, identities=names, image_size=SIZE, source="test")


# Every person has two records, of 1 to 4 photos; tracks of unknown people are between them.
SETS = [(label, 1 + (label + turn) % 4) for turn in range(2) for label in range(len(PEOPLE))] + [(-1, 3), (-2, 2)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "set", SETS)


@pytest.fixture(scope="module")
def rest(dataset):
    return held_out.set_apart("mine", dataset, 0.4, 0)[0]


def stream(mixture, **changes):
    options = {"batch_size": 6, "seed": 3, "image_size": SIZE, "shuffle_buffer": 8, **changes}
    return train_stream(mixture, **options)


def examples(mixture, count, **changes):
    """Returns (name of the record, label) of the first examples."""
    found = []
    for batch in stream(mixture, **changes).take(math.ceil(count / 6)).as_numpy_iterator():
        found += zip((name.decode() for name in batch["names"]), batch["labels"].tolist(), strict=True)
    return found[:count]


def person(name):
    return name.split("/")[0]


def test_who_is_held_out_depends_on_the_name_and_the_seed_alone():
    assert 2 <= len(OUT) <= 10
    # Known for ever: another rule would move people between the training and the test set of runs that exist.
    assert sorted(OUT) == ["Person 0", "Person 11", "Person 5", "Person 7", "Person 8"]
    other = {name for name in PEOPLE if held_out.is_held_out(name, 0.4, 1)}
    assert other != OUT
    # One name in both forms of Unicode.
    for number in range(20):
        assert len({held_out.is_held_out(f"{name} {number}", 0.5, 0) for name in ("Jos\u00e9", "Jose\u0301")}) == 1


def test_the_share_is_held_out_in_the_long_run_and_a_larger_one_adds_people():
    names = [f"somebody {number}" for number in range(4000)]
    shares = {share: {name for name in names if held_out.is_held_out(name, share, 7)} for share in (0.1, 0.3)}
    for share, found in shares.items():
        assert len(found) == pytest.approx(4000 * share, abs=4 * math.sqrt(4000 * share * (1 - share)))
    assert shares[0.1] < shares[0.3]
    assert not any(held_out.is_held_out(name, 0, 7) for name in names)


def test_adding_people_moves_nobody(dataset, tmp_path):
    names = ["Aa", *PEOPLE, "Zz"]
    larger = write(tmp_path / "larger", [(label, 1) for label in range(len(names))], names)
    before, after = (held_out.set_apart("mine", one, 0.4, 0)[1] for one in (dataset, larger))
    assert set(before.names) == OUT
    assert set(after.names) - {"Aa", "Zz"} == OUT


@pytest.mark.parametrize("options", [{}, {"shuffle_buffer": 100}, {"shuffle_buffer": 1}])
def test_an_epoch_has_every_photo_of_the_others_once_and_none_of_theirs(rest, options):
    expected = Counter()
    for number, (label, count) in enumerate(SETS):
        name = PEOPLE[label] if label >= 0 else "track"
        if name not in OUT:
            expected["|".join(f"{name}/{number}_{i}.png" for i in range(count))] += count
    total = sum(expected.values())
    assert rest.num_images == total
    found = examples(mix([rest], [None]), 3 * total, **options)
    for start in range(0, 3 * total, total):
        assert Counter(name for name, _ in found[start : start + total]) == expected


def test_the_labels_of_the_others_are_without_gaps_and_name_them(rest):
    assert rest.identities == tuple(name for name in PEOPLE if name not in OUT)
    assert (rest.num_identities, rest.num_sequences) == (len(PEOPLE) - len(OUT), 2)
    for name, label in examples(mix([rest], [None]), 2 * rest.num_images):
        assert person(name) == ("track" if label < 0 else rest.identities[label])


@pytest.mark.parametrize("balance", [False, True])
def test_face_sets_have_none_of_theirs_and_all_records_of_the_others(rest, balance):
    # With balance everybody has the same share: as many records as labels times a whole number.
    labels = rest.num_identities + rest.num_sequences
    units = rest.num_records if not balance else labels * max(1, round(rest.num_records / labels))
    found = examples(mix([rest], [None], balance=balance), 2 * units, images_per_set=2)
    assert len(found) == 2 * units
    names = Counter(person(name) for name, _ in found)
    assert set(names) == {*PEOPLE, "track"} - OUT
    if balance:
        share = 2 * units // labels
        assert set(names.values()) == {share, 2 * share}  # the two tracks have one name
    else:
        assert {name: count for name, count in names.items() if name != "track"} == {
            name: 4 for name in PEOPLE if name not in OUT
        }


def test_balance_gives_everybody_else_the_same_share(rest):
    labels = rest.num_identities + rest.num_sequences
    units = labels * max(1, round(rest.num_images / labels))
    counts = Counter(label for _, label in examples(mix([rest], [None], balance=True), units))
    assert set(counts) == set(range(-2, rest.num_identities))
    assert set(counts.values()) == {units // labels}


@pytest.mark.parametrize("options", [{}, {"images_per_set": 3}])
@pytest.mark.parametrize("balance", [False, True])
def test_a_stream_that_begins_later_has_the_same_batches(rest, tmp_path, options, balance):
    other = held_out.set_apart("other", write(tmp_path / "other", SETS), 0.2, 5)[0]
    mixture = mix([rest, other], [None, None], balance=balance)
    whole = list(stream(mixture, **options).take(25).as_numpy_iterator())
    for start in (1, 7, 18):
        for one, again in zip(whole[start:], stream(mixture, start_step=start, **options), strict=False):
            for key in ("images", "labels", "names"):
                np.testing.assert_array_equal(one[key], again[key].numpy())
    labels = {label for batch in whole for label in batch["labels"].tolist() if label >= 0}
    assert labels <= set(range(mixture.num_identities))
    assert max(labels) >= rest.num_identities  # people of the second are there, after those of the first


def test_the_people_of_two_datasets_follow_each_other_without_those_held_out(rest, tmp_path):
    names = [f"Other {number}" for number in range(6)]
    other = held_out.set_apart("other", write(tmp_path / "other", [(n, 2) for n in range(6)], names), 0.5, 1)[0]
    mixture = mix([rest, other], [1, 1])
    all_names = [*rest.identities, *other.identities]
    assert mixture.num_identities == len(all_names) < len(PEOPLE) + 6 - 1
    for name, label in examples(mixture, 120):
        assert person(name) == ("track" if label < 0 else all_names[label])


def test_nobody_left_to_train_is_refused(tmp_path):
    names = [name for name in PEOPLE if name in OUT][:2]
    small = write(tmp_path / "small", [(0, 2), (1, 2)], names)
    with pytest.raises(ValueError, match=r"leaves somebody of \[mine\] to train, but 0.4 sets all of its 2 people"):
        held_out.set_apart("mine", small, 0.4, 0)


def test_where_nobody_is_held_out_the_dataset_is_as_it_was(dataset):
    same, nobody = held_out.set_apart("mine", dataset, 1e-9, 0)
    assert same is dataset
    assert (nobody.names, nobody.num_images) == ((), 0)


def test_who_is_held_out_is_noted_in_the_folder_of_a_run(dataset, tmp_path):
    first = held_out.set_apart("mine", dataset, 0.4, 0)[1]
    assert first.num_images == sum(count for label, count in SETS if label >= 0 and PEOPLE[label] in OUT)
    held_out.write_names(tmp_path, [first])
    assert held_out.read_names(tmp_path) == list(first.names)
    held_out.write_names(tmp_path, [])
    assert not list(tmp_path.iterdir())
