"""Cleaning with a model: planted mistakes are found, a list is written, and only a new dataset is changed."""

import hashlib
import math

import cv2
import numpy as np
import pytest

from keras_face import synthetic
from keras_face.backend import keras, tf
from keras_face.export import ServedModel, export_model
from keras_face.inspection import cleaning, embeddings, findings, rewriting, sources
from keras_face.inspection.findings import Entry
from keras_face.photos.images import decode
from keras_face.records import from_photos, writing

PEOPLE, PHOTOS = 30, 10


def name_of(person: int) -> str:
    return f"Person_{person:05d}"


class Oracle:
    """Knows who is on every drawn photo: embeddings spread around the person's direction, whatever the label says."""

    image_size, batch_size = (112, 112), 64

    def __init__(self, folder, spread: float = 0.6, size: int = 64):
        random = np.random.default_rng(0)
        centres = np.linalg.qr(random.normal(size=(size, size)))[0]
        self.known = {}
        for path in sorted(folder.glob("*/*.jpg")):
            vector = centres[int(path.parent.name[-5:])] + spread * random.normal(size=size) / math.sqrt(size)
            self.known[_key(decode(path.read_bytes()).numpy())] = np.float32(vector / np.linalg.norm(vector))

    def __call__(self, images):
        return np.stack([self.known[_key(image)] for image in images])


def _key(image: np.ndarray) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(image).data).digest()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "photos"
    synthetic.write_photos(folder, PEOPLE, PHOTOS)
    return folder


@pytest.fixture(scope="module")
def oracle(drawn):
    return Oracle(drawn)


def clean(dataset, embedder, folder, **options):
    good, vectors = embeddings.embed_all(dataset, embedder, folder)
    return cleaning.clean_photos(dataset, good, vectors, **options)


@pytest.fixture(scope="module")
def planted(drawn, tmp_path_factory):
    """Records of the drawn people with a fifth of the labels wrong, two people under one name, one under two."""
    random = np.random.default_rng(0)
    photos, wrong = {}, {}
    for path in sorted(drawn.glob("*/*.jpg")):
        person = int(path.parent.name[-5:])
        owner = name_of(person)
        if person == 0:
            owner = name_of(1)  # merged: 0 and 1 are called 1
        elif person == 2 and int(path.stem[-4:]) % 2:
            owner = "Split"
        elif person > 3 and random.random() < 0.2:
            other = 4 + (person - 4 + random.integers(1, PEOPLE - 4)) % (PEOPLE - 4)
            owner = name_of(other)
            wrong[f"{owner}/{path.name}"] = person
        photos[f"{owner}/{path.name}"] = path.read_bytes()
    people = sorted({name.split("/")[0] for name in photos})
    sets = [writing.FaceSet([data], people.index(name.split("/")[0]), name) for name, data in photos.items()]
    folder = tmp_path_factory.mktemp("planted") / "set"
    writing.write_records(folder, sets, identities=people, image_size=(112, 112), source="planted", progress=False)
    return folder, wrong


def test_a_clean_dataset_gives_an_empty_list(drawn, oracle, tmp_path):
    from_photos.write_folder(drawn, tmp_path / "set", progress=False)
    found = clean(sources.RecordPhotos(tmp_path / "set"), oracle, tmp_path)
    assert list(found.entries) == []
    assert "nothing found" in str(found)
    assert found.thresholds.wrong_share == 0


def test_planted_mistakes_are_found_and_nothing_else(planted, oracle, tmp_path):
    folder, wrong = planted
    found = clean(sources.RecordPhotos(folder), oracle, tmp_path)
    by_kind: dict[str, list[Entry]] = {}
    for entry in found.entries:
        by_kind.setdefault(entry.finding, []).append(entry)
    outliers = {entry.name: entry for entry in by_kind[cleaning.OUTLIER]}
    assert len(set(outliers) & set(wrong)) >= 0.97 * len(wrong)  # recall
    assert len(set(outliers) & set(wrong)) >= 0.97 * len(outliers)  # precision
    moved = {name: entry.suggestion for name, entry in outliers.items() if entry.suggestion != "drop"}
    assert moved == {name: f"move to {name_of(wrong[name])}" for name in moved}
    assert len(moved) > 0.9 * len(outliers)
    # Nobody else is called person 0, so the photos of one of the two get a new name.
    merged = {entry.name for entry in by_kind[cleaning.MERGED]}
    assert merged in (
        {f"{name_of(1)}/{name_of(person)}_{number + 1:04d}.jpg" for number in range(PHOTOS)} for person in (0, 1)
    )
    assert {entry.suggestion for entry in by_kind[cleaning.MERGED]} == {f"move to {name_of(1)}#2"}
    (split,) = by_kind[cleaning.SPLIT]
    assert {split.identity, split.suggestion.removeprefix("move to ")} == {"Split", name_of(2)}
    assert split.name == ""
    share = len(wrong) / (PEOPLE * PHOTOS)
    assert found.thresholds.wrong_share == pytest.approx(share, abs=0.06)
    assert f"{len(merged)}  another person: move" in str(found)


def test_the_list_applied_gives_the_people_back(planted, oracle, tmp_path):
    folder, _ = planted
    before = contents(folder)
    found = clean(sources.RecordPhotos(folder), oracle, tmp_path)
    findings.write_list(tmp_path / "list.csv", found.entries)
    entries = findings.read_list(tmp_path / "list.csv")
    summary = rewriting.rewrite(folder, entries, tmp_path / "mended", progress=False)
    assert contents(folder) == before
    mended = sources.RecordPhotos(tmp_path / "mended")
    together: dict[str, set[str]] = {}
    for number in range(len(mended)):
        name = mended.photo_name(number)
        together.setdefault(mended.identities[mended.labels[number]], set()).add(name.split("/")[1][:12])
    assert sorted(map(len, together.values())) == [1] * PEOPLE, together  # one person under each name
    assert len(set.union(*together.values())) == PEOPLE
    dropped = sum(entry.suggestion == "drop" for entry in entries)
    assert (summary.counts["dropped"], len(mended)) == (dropped, PEOPLE * PHOTOS - dropped)
    assert len((tmp_path / "mended" / "skipped.csv").read_text().splitlines()) == dropped + 1
    assert list(clean(mended, oracle, tmp_path).entries) == []


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_largest_angle_can_be_given(planted, oracle, tmp_path):
    dataset = sources.RecordPhotos(planted[0])
    narrow = clean(dataset, oracle, tmp_path, max_angle=math.radians(40))
    wide = clean(dataset, oracle, tmp_path, max_angle=math.radians(80))
    assert narrow.thresholds.photo == pytest.approx(0.698, abs=1e-3)
    assert len(narrow.entries) > len(wide.entries)
    with pytest.raises(ValueError, match="take a larger angle"):
        clean(dataset, oracle, tmp_path, max_angle=math.radians(5))
    with pytest.raises(ValueError, match="radians, got 75"):
        clean(dataset, oracle, tmp_path, max_angle=75)


def test_two_photos_that_disagree_are_to_be_looked_at(oracle, drawn, tmp_path):
    images = {person: (drawn / name_of(person) / f"{name_of(person)}_0001.jpg").read_bytes() for person in (3, 4, 5)}
    sets = [
        writing.FaceSet([images[3]], 0, "a/1.jpg"),
        writing.FaceSet([images[4]], 0, "a/2.jpg"),
        writing.FaceSet([images[5]], 1, "b/1.jpg"),
    ]
    writing.write_records(
        tmp_path / "set", sets, identities="ab", image_size=(112, 112), source="a test", progress=False
    )
    found = clean(sources.RecordPhotos(tmp_path / "set"), oracle, tmp_path, max_angle=0.9)
    assert sorted((entry.name, entry.finding, entry.suggestion) for entry in found.entries) == [
        ("a/1.jpg", "two photos disagree", "look"),
        ("a/2.jpg", "two photos disagree", "look"),
    ]


def picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def small(tmp_path):
    """Anna: a pair and a single photo; Bo: a track of two frames; Cy: one photo; two unknown tracks."""
    sets = [
        writing.FaceSet([picture(0), picture(1)], 0, "Anna/0.png|Anna/1.png"),
        writing.FaceSet([picture(2)], 0, "Anna/2.png"),
        writing.FaceSet([picture(3), picture(4)], 1, "Bo/track"),
        writing.FaceSet([picture(5)], 2, "Cy/5.png"),
        writing.FaceSet([picture(6)], -1, "unknown/6"),
        writing.FaceSet([picture(7)], -2, "unknown/7"),
    ]
    people = ["Anna", "Bo", "Cy"]
    folder = tmp_path / "small"
    writing.write_records(
        folder, sets, identities=people, image_size=(12, 10), source="by hand", template="mine", progress=False
    )
    return folder


def rewrite(small, *entries, **options):
    """Returns {name: (person or label, images)} of the new dataset, and its description."""
    output = small.with_name("new")
    rewriting.rewrite(small, entries, output, progress=False, **options)
    info = writing.open_dataset(output)
    parsed = writing.parse(list(tf.data.TFRecordDataset(info.shards)))
    rows = zip(parsed["name"].numpy(), parsed["label"].numpy().tolist(), parsed["images"].to_list(), strict=True)
    return {
        name.decode(): (info.identities[label] if label >= 0 else label, images) for name, label, images in rows
    }, info


def test_photos_are_dropped_and_moved_one_by_one_and_sets_stay_together(small):
    found, info = rewrite(
        small,
        Entry("Anna/1.png", "Anna", "outlier", 1.0, "drop"),
        Entry("Bo/track#1", "Bo", "another person", 1.0, "move to Dora"),
        Entry("Cy/5.png", "Cy", "outlier", 1.0, "look"),
        Entry("unknown/6", "", "blank", None, "drop"),
    )
    assert found == {
        "Anna/0.png": ("Anna", [picture(0)]),
        "Anna/2.png": ("Anna", [picture(2)]),
        "Bo/track#0": ("Bo", [picture(3)]),
        "Bo/track#1": ("Dora", [picture(4)]),
        "Cy/5.png": ("Cy", [picture(5)]),
        "unknown/7": (-1, [picture(7)]),  # sequences have no gaps
    }
    assert (info.identities, info.template, info.image_size) == (("Anna", "Bo", "Cy", "Dora"), "mine", (12, 10))
    assert "by hand" in info.source
    skipped = (info.path / "skipped.csv").read_text().splitlines()[1:]
    assert sorted(skipped) == ["Anna/1.png,outlier", "unknown/6,blank"]


def test_identities_are_moved_and_dropped_as_a_whole_and_followed(small):
    found, info = rewrite(
        small,
        Entry("", "Cy", "same person", 0.2, "move to Bo"),
        Entry("", "Bo", "few photos", None, "drop"),
        Entry("Bo/track#0", "Bo", "outlier", 1.0, "move to Anna"),
    )
    assert {name: person for name, (person, _) in found.items()} == {
        "Anna/0.png|Anna/1.png": "Anna",
        "Anna/2.png": "Anna",
        "Bo/track#0": "Anna",
        "unknown/6": -1,
        "unknown/7": -2,
    }
    assert info.identities == ("Anna",)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([Entry("Eve/1.png", "Eve", "x")], "photos that .* does not have: Eve/1.png"),
        ([Entry("", "Eve", "x")], "identity 'Eve'"),
        ([Entry("Cy/5.png", "Cy", "x", None, f"move to {name}") for name in ("Anna", "Bo")], "say both"),
        ([Entry("", "Cy", "x", None, "move to Bo"), Entry("", "Bo", "x", None, "move to Cy")], "circle"),
        (
            [Entry("", name, "x") for name in ("Anna", "Bo", "Cy")] + [Entry(f"unknown/{n}", "", "x") for n in (6, 7)],
            "every",
        ),
    ],
)
def test_lists_that_do_not_fit_are_refused_and_nothing_is_written(small, entries, complaint):
    with pytest.raises(ValueError, match=complaint):
        rewrite(small, *entries)
    assert not small.with_name("new").exists()
    with pytest.raises(ValueError, match="must not exist"):
        rewriting.rewrite(small, [], small)


def test_red_and_blue_are_exchanged_exactly_in_png(small):
    found, _ = rewrite(small, swap_channels=True)
    np.testing.assert_array_equal(decode(found["Cy/5.png"][1][0]), decode(picture(5)).numpy()[:, :, ::-1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A real SavedModel: its embeddings are the pixels, shrunk to a quarter."""
    backbone = keras.Sequential(
        [keras.layers.Input((16, 16, 3)), keras.layers.AveragePooling2D(2), keras.layers.Flatten()]
    )
    return export_model(ServedModel(backbone), tmp_path_factory.mktemp("model"), 1, {})


def test_the_command_lists_with_a_real_model_and_applies_to_a_new_dataset(exported, tmp_path, command):
    sets, wrong = [], {}
    for person in range(12):
        face = cv2.resize(np.random.default_rng(person).integers(40, 216, (8, 8, 3)).astype(np.uint8), (16, 16))
        for photo in range(8):
            noise = np.random.default_rng([person, photo]).integers(-40, 41, (16, 16, 3))
            owner = person if photo or person % 3 else (person + 5) % 12
            name = f"P{owner}/{person}_{photo}.png"
            if owner != person:
                wrong[name] = f"move to P{person}"
            sets.append(
                writing.FaceSet([cv2.imencode(".png", (face + noise).astype(np.uint8))[1].tobytes()], owner, name)
            )
    people = [f"P{person}" for person in range(12)]
    writing.write_records(
        tmp_path / "set", sets, identities=people, image_size=(16, 16), source="a test", progress=False
    )
    arguments = ("--records", tmp_path / "set", "--model_path", exported, "--output", tmp_path / "list.csv")
    done = command("tfrecords_tools.clean", *arguments, "--output_dir", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    found = findings.read_list(tmp_path / "list.csv")
    assert {entry.name: entry.suggestion for entry in found} == wrong
    assert all(0.5 < entry.angle < math.pi for entry in found)
    assert "4  outlier: move" in done.stdout
    assert "4 given another label" in done.stdout
    mended = sources.RecordPhotos(tmp_path / "new")
    for number in range(len(mended)):
        name = mended.photo_name(number)
        assert mended.identities[mended.labels[number]] == "P" + name.split("/")[1].split("_")[0]


def test_the_command_refuses_what_does_not_go_together(small, command):
    done = command("tfrecords_tools.clean", "--records", small, "--output", small.with_name("list.csv"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: expected --model_path to make a list")
