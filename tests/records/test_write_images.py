import csv
import unicodedata
import zlib
from collections import Counter

import cv2
import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.files import unescaped
from keras_face.photos import headers, people
from keras_face.photos.images import decode
from keras_face.records import from_photos, writing

NO_PHOTO = "neither JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, JPEG 2000, AVIF nor HEIC, or cut off at once"


def encoded(number: int, size: tuple[int, int] = (12, 10), extension: str = ".jpg", channels: int = 3) -> bytes:
    pixels = np.random.RandomState(number).randint(0, 256, (*size, channels), np.uint8)
    return cv2.imencode(extension, pixels)[1].tobytes()


def make_people(root, **photos: int):
    """Makes a folder for each name, with so many photos."""
    for number, (person, count) in enumerate(photos.items()):
        (root / person).mkdir(parents=True)
        for photo in range(count):
            (root / person / f"{photo}.jpg").write_bytes(encoded(100 * number + photo))
    return root


def write(source, output_dir, *args, **options):
    options.setdefault("template", "arcface")
    return from_photos.write_folder(source, output_dir, *args, progress=False, **options)


def read(path) -> dict[str, tuple[int, list[bytes]]]:
    """Returns label and images of each record by name."""
    parsed = writing.parse(list(tf.data.TFRecordDataset(writing.open_dataset(path).shards)))
    columns = zip(parsed["name"].numpy(), parsed["label"].numpy(), parsed["images"].to_list(), strict=True)
    return {name.decode(): (int(label), images) for name, label, images in columns}


def skipped(path) -> list[list[str]]:
    with open(path / "skipped.csv", encoding="utf-8", newline="") as file:
        return [(unescaped(name), reason) for name, reason in list(csv.reader(file))[1:]]


def test_a_folder_per_person_becomes_records_labelled_in_the_order_of_the_names(tmp_path):
    source = make_people(tmp_path / "photos", Zoe=2, Anna=1, Mia=3)
    summary = write(source, tmp_path / "out")
    people = sorted(["Zoe", "Anna", "Mia"])
    expected = {
        f"{path.parent.name}/{path.name}": (people.index(path.parent.name), [path.read_bytes()])
        for path in source.glob("*/*")
    }
    assert read(tmp_path / "out") == expected
    assert (summary.counts["people"], summary.counts["photos"], summary.skipped) == (3, 6, [])
    dataset = writing.open_dataset(tmp_path / "out")
    assert (dataset.identities, dataset.image_size) == (tuple(people), (12, 10))
    assert str(source) in dataset.source


def test_bad_photos_are_left_out_and_named_with_the_reason(tmp_path):
    source = make_people(tmp_path / "photos", Anna=4, Bo=1)
    bad = {
        "text.jpg": (b"this is no photo", NO_PHOTO),
        "empty.jpg": (b"", "an empty file"),
        "cut.jpg": (encoded(7)[:-40], "damaged or cut off"),
        "cut.png": (encoded(7, extension=".png")[:-40], "damaged or cut off"),
        "small.jpg": (encoded(7, (9, 10)), "9x10, expected height x width 12x10"),
        'new\nline, "quoted" ñ.jpg': (b"x", NO_PHOTO),
        "notes.txt": (b"this is no photo", NO_PHOTO.removesuffix(", or cut off at once")),
        ".DS_Store": (b"x", "hidden"),
        "Thumbs.db": (b"x", "hidden"),
    }
    for name, (data, _) in bad.items():
        (source / "Anna" / name).write_bytes(data)
    (source / "Anna" / "gone.jpg").symlink_to(source / "nowhere.jpg")
    (source / "Anna" / "loop.jpg").symlink_to(source / "Anna" / "loop.jpg")
    (source / "Anna" / "inner").mkdir()
    (source / "Carl").mkdir()
    (source / "Carl" / "0.jpg").write_bytes(b"x")
    for hidden in (".thumbnails", "__MACOSX"):
        (source / hidden).mkdir()
        (source / hidden / "0.jpg").write_bytes(encoded(1))
    (source / "readme.txt").write_bytes(b"x")
    (source / "skipped.csv").write_bytes(b"x")  # of align: no photo, and not missed
    summary = write(source, tmp_path / "out")
    reasons = dict(skipped(tmp_path / "out"))
    assert reasons == {
        **{f"Anna/{name}": reason for name, (_, reason) in bad.items()},
        "Anna/gone.jpg": "cannot be read: No such file or directory",
        "Anna/loop.jpg": "cannot be read: Too many levels of symbolic links",
        "Anna/inner": "a folder in a person's folder",
        "Carl/0.jpg": NO_PHOTO,
        ".thumbnails": "hidden",
        "__MACOSX": "hidden",
        "Carl": "fewer than 1 good photos",
        "readme.txt": "not in a person's folder",
    }
    assert dict(summary.skipped) == reasons
    assert sorted(read(tmp_path / "out")) == [*(f"Anna/{photo}.jpg" for photo in range(4)), "Bo/0.jpg"]
    assert f"2 people, 5 photos, {len(reasons)} skipped\n        4  hidden\n        3  {NO_PHOTO}\n" in str(summary)


def test_every_cut_of_a_photo_is_found(tmp_path):
    source = make_people(tmp_path / "photos", Anna=1)
    for extension in (".jpg", ".png"):
        whole = encoded(3, extension=extension)
        for tenth in range(1, 10):
            (source / "Anna" / f"{tenth}{extension}").write_bytes(whole[: len(whole) * tenth // 10])
    write(source, tmp_path / "out")
    assert {reason for _, reason in skipped(tmp_path / "out")} == {"damaged or cut off"}
    assert len(skipped(tmp_path / "out")) == 18


def test_a_header_of_a_huge_image_is_refused_without_decoding_it(tmp_path):
    source = make_people(tmp_path / "photos", Anna=1)
    png = bytearray(encoded(0, extension=".png"))
    png[16:24] = (50_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")  # so that the header is right in itself
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
        decode(bytes(png))
    (source / "Anna" / "huge.png").write_bytes(png)
    write(source, tmp_path / "out")
    assert skipped(tmp_path / "out") == [("Anna/huge.png", "more than 89,478,485 pixels")]


def test_grey_photos_are_taken_as_they_are(tmp_path):
    source = make_people(tmp_path / "photos", Anna=1)
    (source / "Anna" / "grey.jpg").write_bytes(encoded(1, channels=1))
    write(source, tmp_path / "out")
    assert read(tmp_path / "out")["Anna/grey.jpg"] == (0, [encoded(1, channels=1)])


@pytest.mark.parametrize("set_size, sizes", [(1, [1] * 10), (4, [3, 3, 4]), (3, [2, 2, 3, 3]), (12, [10])])
def test_photos_of_a_person_are_dealt_out_evenly_over_sets(tmp_path, set_size, sizes):
    source = make_people(tmp_path / "photos", Anna=10, Bo=1)
    write(source, tmp_path / "out", set_size=set_size)
    found = read(tmp_path / "out")
    assert sorted(len(images) for label, images in found.values() if label == 0) == sizes
    for name, (label, images) in found.items():
        assert [(source / part).read_bytes() for part in name.split("|")] == images
        assert {part.split("/")[0] for part in name.split("|")} == {["Anna", "Bo"][label]}
    assert Counter(image for _, images in found.values() for image in images) == Counter(
        path.read_bytes() for path in source.glob("*/*")
    )


def test_the_most_frequent_size_is_taken_unless_one_is_given(tmp_path):
    source = make_people(tmp_path / "photos", Anna=3)
    for photo in range(2):
        (source / "Anna" / f"wide{photo}.jpg").write_bytes(encoded(photo, (12, 20)))
    assert write(source, tmp_path / "out").counts["photos"] == 3
    assert write(source, tmp_path / "wide", image_size=(12, 20)).counts["photos"] == 2
    assert writing.open_dataset(tmp_path / "wide").image_size == (12, 20)


@pytest.mark.parametrize("text", ["2\nMia\t3\nZoe\t2\n", "Zoe\n\nMia\r\n", "\ufeffZoe\nMia"])
def test_a_people_file_chooses_the_people(tmp_path, text):
    source = make_people(tmp_path / "photos", Zoe=2, Anna=2, Mia=3)
    (tmp_path / "people.txt").write_text(text, encoding="utf-8")
    write(source, tmp_path / "out", tmp_path / "people.txt")
    assert writing.open_dataset(tmp_path / "out").identities == ("Mia", "Zoe")


def test_people_with_too_few_photos_are_left_out_and_said(tmp_path):
    source = make_people(tmp_path / "photos", Zoe=2, Anna=1, Mia=3)
    summary = write(source, tmp_path / "out", min_photos=2)
    assert writing.open_dataset(tmp_path / "out").identities == ("Mia", "Zoe")
    assert summary.skipped == [("Anna", "fewer than 2 good photos")]


@pytest.mark.parametrize(
    "text, message",
    [
        ("Zoe\nNobody\nNoone", "2 people have no folder in .*: Nobody, Noone"),
        ("3\nZoe\t2\nMia\t3\n", "expected 3 people, as its first line says, got 2"),
        ("Zoe\nzoe", "each name once, got again: zoe"),
        ("\n", "expected names of people, got none"),
    ],
)
def test_a_wrong_people_file_is_an_error(tmp_path, text, message):
    source = make_people(tmp_path / "photos", Zoe=2, Mia=1)
    (tmp_path / "people.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        write(source, tmp_path / "out", tmp_path / "people.txt")


def test_numbers_are_names_too(tmp_path):
    (tmp_path / "people.txt").write_text("0000045\n0000099\n")
    assert people.read_people(tmp_path / "people.txt") == ["0000045", "0000099"]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda source: (source / "Bo").mkdir(), "Bo is empty"),
        (lambda source: make_people(source, ANNA=1), "'ANNA' and 'Anna' are the same name"),
        (
            lambda source: [
                (make_people(source, **{unicodedata.normalize(form, "Zoé"): 1})) for form in ("NFC", "NFD")
            ],
            "are the same name",
        ),
        (lambda source: (source / "Bo").symlink_to(source), "Bo links to .*, which it is in"),
        (lambda source: (source / "Bo").symlink_to(source / "Anna"), "'Anna' and 'Bo' are .* links to the same folder"),
        (lambda source: source.rename(source.with_name("moved")), "but .*photos is none"),
        (lambda source: (source / "Anna").rename(source.with_name("moved")), "got no folder"),
        (lambda source: (source / "Anna" / "0.jpg").write_bytes(b"x"), r"nobody has 1 good .*Anna/0.jpg \(neither"),
        (lambda source: (source.parent / "out").mkdir(), "output_dir must not exist"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_an_error_and_writes_nothing(tmp_path, damage, message):
    source = make_people(tmp_path / "photos", Anna=1)
    damage(source)
    with pytest.raises(ValueError, match=message):
        write(source, tmp_path / "out")
    assert not (tmp_path / "out" / "metadata.json").exists()
    assert not (tmp_path / "out.incomplete").exists()


def test_a_list_of_photos_becomes_records_with_labels_in_order(tmp_path):
    source = make_people(tmp_path / "photos", Zoe=2, Anna=2)
    lines = ["Zoe/0.jpg 7", "Anna/0.jpg,30", "Zoe/1.jpg\t7", "", "Anna/1.jpg 30", "gone.jpg 7"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    summary = from_photos.write_list(tmp_path / "list.txt", source, tmp_path / "out", progress=False)
    labels = {name: label for name, (label, _) in read(tmp_path / "out").items()}
    assert labels == {"Zoe/0.jpg": 0, "Zoe/1.jpg": 0, "Anna/0.jpg": 1, "Anna/1.jpg": 1}
    assert writing.open_dataset(tmp_path / "out").identities == ("7", "30")
    assert summary.skipped == [("gone.jpg", "cannot be read: No such file or directory")]


def test_a_photo_of_a_list_is_found_under_another_ending(tmp_path):
    source = make_people(tmp_path / "photos", Zoe=2)
    (tmp_path / "list.txt").write_text("Zoe/0.png 7\nZoe/1.jpg 7\n")
    from_photos.write_list(tmp_path / "list.txt", source, tmp_path / "out", progress=False)
    found = read(tmp_path / "out")
    assert {name: images for name, (_, images) in found.items()} == {
        "Zoe/0.png": [(source / "Zoe/0.jpg").read_bytes()],
        "Zoe/1.jpg": [(source / "Zoe/1.jpg").read_bytes()],
    }


@pytest.mark.parametrize("line", ["0.jpg", "0.jpg Anna", "0.jpg -1", "Zoe/0.jpg 8"])
def test_a_line_of_a_list_that_is_no_photo_and_label_is_an_error(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"Zoe/0.jpg 7\n{line}\n")
    with pytest.raises(ValueError, match=r"list\.txt, line 2: expected"):
        from_photos.write_list(tmp_path / "list.txt", tmp_path, tmp_path / "out", progress=False)


def test_the_command_writes_and_prints_a_summary_and_says_errors_in_one_line(
    tmp_path, repository, monkeypatch, command
):
    source = make_people(tmp_path / "photos", **{"Anna Å": 3, "Bo": 1})
    (source / "Bo" / "bad.jpg").write_bytes(b"x")
    monkeypatch.syspath_prepend(repository)
    monkeypatch.chdir(tmp_path)

    def run(*flags):
        return command("tfrecords_tools.write_images", f"--source={source}", "--output_dir=out", *flags)

    done = run("--set_size=2", "--template=arcface")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"out: 2 people, 4 photos, 1 skipped\n        1  {NO_PHOTO}\n"
    assert "checking: 100%" in done.stderr
    assert sorted(len(images) for _, images in read(tmp_path / "out").values()) == [1, 1, 2]
    again = run()
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.splitlines()[-1] == "error: output_dir must not exist yet, but out does"


def test_lfw_is_written_whole(tmp_path, real_photos):
    lfw = real_photos / "lfw"
    summary = write(lfw / "aligned112", tmp_path / "out", lfw / "protocol" / "peopleDevTrain.txt", set_size=4)
    assert (summary.counts["people"], summary.counts["photos"], list(summary.skipped)) == (4038, 9525, [])
    lines = (lfw / "protocol" / "peopleDevTrain.txt").read_text().splitlines()[1:]
    expected = {name: int(count) for name, count in (line.split("\t") for line in lines)}
    dataset = writing.open_dataset(tmp_path / "out")
    counts = np.bincount(dataset.index["label"], dataset.index["images"]).astype(int).tolist()
    assert dict(zip(dataset.identities, counts, strict=True)) == expected
    assert dataset.image_size == (112, 112)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_header_says_what_decoding_would(extension, channels):
    whole = encoded(5, extension=extension, channels=channels)
    assert headers.whole_size(whole) == tuple(decode(whole).shape[:2])
    for end in range(len(whole)):
        assert headers.whole_size(whole[:end]) is None
    assert headers.whole_size(whole + whole) is None


def test_a_damaged_middle_is_found_where_it_is_asked_for(tmp_path):
    source = make_people(tmp_path / "photos", Anna=2)
    damaged = bytearray(encoded(5))
    table = damaged.index(b"\xff\xc4")
    damaged[table + 5 : table + 21] = b"\xff" * 16  # more codes of each length than there can be
    (source / "Anna" / "damaged.jpg").write_bytes(damaged)
    assert headers.whole_size(bytes(damaged)) == (12, 10)
    assert len(people.scan(source).photos["Anna"]) == 3
    assert people.scan(source, decode=True).skipped == [("Anna/damaged.jpg", "damaged or cut off")]


def test_the_headers_of_lfw_are_right(real_photos):
    photos = sorted((real_photos / "lfw" / "aligned112").glob("A*/*.jpg"))
    assert len(photos) > 500
    for photo in photos[:500]:
        assert headers.whole_size(photo.read_bytes()) == (112, 112)
    for folder in ("orl_faces", "fixtures/foamliu", "fixtures/multi", "lfw/raw250_deepfunneled_sample"):
        for photo in [*(real_photos / folder).rglob("*.jpg"), *(real_photos / folder).rglob("*.png")]:
            size = headers.whole_size(photo.read_bytes())
            assert size is None or size == tuple(decode(photo.read_bytes()).shape[:2])
