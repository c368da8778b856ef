"""A folder of people is listed by one rule, and a list's name finds the photo that it means."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_face.alignment import aligner, crop_files, templates
from keras_face.inspection import sources
from keras_face.measurement import verification
from keras_face.measurement.photos import embed
from keras_face.photos import lists, people
from keras_face.records import from_photos

PHOTOS = {
    "Anna": ["Anna/a.jpg", "Anna/b.JFIF", "Anna/c.png", "Anna/d.webp", "Anna/e.data", "Anna/no_ending"],
    "Bo": ["Bo/1.jpeg"],
}
ALL = [name for names in PHOTOS.values() for name in names]
SKIPPED = {
    ".thumbnails": "hidden",
    "__MACOSX": "hidden",
    ".DS_Store": "hidden",
    "Anna/.DS_Store": "hidden",
    "Anna/Thumbs.db": "hidden",
    "Anna/.cache": "hidden",
    "Anna/inner": "a folder in a person's folder",
    "readme.txt": "not in a person's folder",
}


def drawn(kind: str = "PNG", number: int = 0) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)).save(data, kind)
    return data.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "people"
    kinds = {".webp": "WEBP", ".png": "PNG"}
    for number, name in enumerate(name for names in PHOTOS.values() for name in names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(kinds.get(path.suffix, "JPEG"), number))
    for name in (".thumbnails/x/a.jpg", ".thumbnails/b.jpg", "__MACOSX/a.jpg", "Anna/.cache/a.jpg", "Anna/inner/a.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(drawn("JPEG"))
    for name in (".DS_Store", "Anna/.DS_Store", "Anna/Thumbs.db", "readme.txt", "Bo/notes.txt"):
        (root / name).write_text("no photo")
    return root


def test_every_part_sees_the_same_people_and_photos(tmp_path, folder):
    listing = people.list_people(folder)
    skipped = dict(listing.skipped)
    assert {person: list(names) for person, names in listing.photos.items()} == PHOTOS
    assert skipped.pop("Bo/notes.txt").startswith("neither JPEG")
    assert skipped == SKIPPED
    inspected = sources.FolderPhotos(folder)
    assert [inspected.photo_name(number) for number in range(len(inspected))] == ALL
    assert dict(inspected.refused) == dict(listing.skipped)
    written = from_photos.write_folder(folder, tmp_path / "records", progress=False)
    assert (written.counts["people"], written.counts["photos"]) == (2, 7)
    assert sorted(written.skipped) == sorted(listing.skipped)
    template = templates.template("16x16:4,4,10,4,7,7,4,10,10,10")
    aligned = crop_files.align_records(folder, tmp_path / "aligned", aligner.Aligner(template, None), progress=False)
    assert (aligned.counts["folders"], aligned.counts["crops"]) == (2, 7)
    assert dict(aligned.skipped) == dict(listing.skipped)


def test_hidden_files_are_left_out_at_any_depth(folder):
    _, names, skipped = lists.list_files(folder)
    expected = [*ALL, "Anna/inner/a.jpg", "readme.txt", "Bo/notes.txt"]
    assert names == sorted(expected)
    assert dict(skipped) == {name: reason for name, reason in SKIPPED.items() if reason == "hidden"}


def test_a_folder_that_holds_only_hidden_files_has_nobody(tmp_path, folder):
    (tmp_path / "hidden" / ".thumbnails").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"expected a folder of photos per person in .*hidden, got no folder"):
        people.list_people(tmp_path / "hidden")
    (folder / "Carl").mkdir()
    (folder / "Carl" / ".DS_Store").write_text("x")
    assert people.list_people(folder).photos["Carl"] == []
    assert ("Carl", "fewer than 1 good photos") in people.scan(folder).skipped


class Mean:
    name, batch_size, image_size = "mean", 4, (16, 16)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return batch.reshape(len(batch), -1).astype(np.float32)


def test_pairs_find_photos_of_another_ending(tmp_path):
    (tmp_path / "Anna").mkdir()
    for number in range(40):
        (tmp_path / "Anna" / f"Anna_{number:04d}.png").write_bytes(drawn(number=number))
    names = [f"Anna/Anna_{number:04d}.{'png' if number == 7 else 'jpg'}" for number in range(40)]
    lines = [f"{number % 2},{names[2 * number]},{names[2 * number + 1]}\n" for number in range(20)]
    (tmp_path / "pairs.txt").write_text("".join(lines))
    task = verification.read_task(tmp_path)
    keys = task.pairs.distinct_keys()
    found = embed(Mean(), [task.locate(key) for key in keys], flip=False)
    for key, vector in zip(keys, found.embeddings, strict=True):
        pixels = np.array(Image.open((tmp_path / key).with_suffix(".png")), np.float64).ravel()
        np.testing.assert_allclose(vector, pixels / np.linalg.norm(pixels), rtol=1e-5)


def test_several_photos_of_one_name_are_an_error_that_names_them(tmp_path):
    for name in ("a.png", "a.webp", "b.jpg", "b.png", "c.jpg.txt", ".d.png"):
        (tmp_path / name).write_bytes(drawn())
    locate = lists.PhotoFolder(tmp_path)
    with pytest.raises(ValueError, match=r"a.jpg: expected one photo of this name, got a.png, a.webp with other"):
        locate("a.jpg")
    assert locate("b.jpg") == tmp_path / "b.jpg"
    for name in ("c.jpg", "d.jpg", "gone/e.jpg"):
        assert locate(name) == tmp_path / name
    with pytest.raises(FileNotFoundError, match=r"1 of 1 photos are missing: .*c.jpg"):
        embed(Mean(), [locate("c.jpg")])
