"""Folders of photos become folders of crops, or records: complete, resumable, and nothing lost silently."""

import csv
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_face.alignment import templates
from keras_face.alignment.aligner import Aligner, Crop
from keras_face.alignment.crop_files import align_folder, align_records
from keras_face.alignment.detector import Detector, Face
from keras_face.alignment.journal import open_journal
from keras_face.alignment.landmark_files import ListedLandmarks
from keras_face.files import unescaped
from keras_face.photos.files import PhotoError, read_photo
from keras_face.photos.lists import crop_names, list_files
from keras_face.photos.template import RECORD
from keras_face.records import dataset

TEMPLATE = templates.template("arcface112x96")
ALIGNED = Aligner(TEMPLATE, None)


def save(path: Path, value: int = 90, size: tuple[int, int] = (112, 96)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (value, value // 2, 0)).save(path)
    return path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        RECORD,
        "skipped.csv",
    }


def skipped(folder: Path) -> dict[str, str]:
    with open(folder / "skipped.csv", encoding="utf-8", newline="") as file:
        first, *rows = csv.reader(file)
    assert first == ["name", "reason"]
    return {unescaped(name): reason for name, reason in rows}


# Landmarks from files.

NUMBERS = [1.0, 2.0, 3.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


@pytest.mark.parametrize(
    "text",
    [
        "a/Bo B. Jr._1.jpg\t" + "\t".join(map(str, NUMBERS)) + "\n",
        "root/x/a/Bo B. Jr._1.jpg,2," + " ".join(map(str, NUMBERS)) + " 0.99 107\r\n",
        json.dumps({"Bo B. Jr._1": NUMBERS[::2] + NUMBERS[1::2]}),
    ],
)
def test_landmarks_are_read_from_each_format(tmp_path, text):
    (tmp_path / "points").write_text(text)
    listed = ListedLandmarks(tmp_path / "points")
    for name in ("a/Bo B. Jr._1.jpg", "a/Bo B. Jr._1.PNG", "Bo B. Jr._1.jpg", "a/Bo B. Jr._1"):
        np.testing.assert_array_equal(listed(name), np.reshape(NUMBERS, (5, 2)))
    assert listed("a/Bo B. Jr._2.jpg") is None
    if "{" not in text:  # the JSON has no folders that could differ
        assert listed("b/Bo B. Jr._1.jpg") is None


def test_an_entry_for_several_photos_is_told_by_its_folder(tmp_path):
    line = "\t" + "\t".join(map(str, NUMBERS)) + "\n"
    (tmp_path / "points").write_text(f"a/1.jpg{line}b/1.jpg{line.replace('2.0', '0')}")
    listed = ListedLandmarks(tmp_path / "points")
    assert listed("a/1.jpg")[0, 1] == 2
    assert listed("b/1.jpg")[0, 1] == 0
    with pytest.raises(PhotoError, match=r"^2 entries in points$"):
        listed("1.jpg")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a.jpg\t1\t2\n", r"points:1: expected `path<tab>x<tab>y\.\.\.` or"),
        ("\na.jpg,1,1 2 3 4 5 6 7 8 9 nan 0.9 100\n", "points:2: expected"),
        ("a.jpg 1 2 3 4 5 6 7 8 9 10\n", "points:1: expected"),
        ("", "expected landmarks in .*, got none"),
        ('{"a": [1, 2]}', "'a': expected five x and five y"),
        ('{"a": [1, 2', "expected JSON"),
        ('{"a": 7}', "'a': expected five x and five y"),
        ("{}", "expected landmarks in .*, got none"),
        ("a.jpg" + "\t1" * 10 + "\na.jpg" + "\t1" * 10, "points:2: expected each photo once"),
    ],
)
def test_another_form_of_landmarks_is_refused_where_it_is(tmp_path, text, message):
    (tmp_path / "points").write_text(text)
    with pytest.raises(ValueError, match=message):
        ListedLandmarks(tmp_path / "points")


def test_published_landmarks_are_all_read(real_photos):
    protocol = real_photos / "lfw" / "protocol"
    assert ListedLandmarks(protocol / "deepfunneled_mtcnn_5pts.csv").num_photos == 13233
    originals = ListedLandmarks(protocol / "lfw_original250_5pts.txt")
    np.testing.assert_array_equal(originals("Aaron_Guiel/Aaron_Guiel_0001.jpg")[:2], [[98, 110], [146, 116]])
    probes = ListedLandmarks(real_photos / "protocols" / "facescrub_80_landmark5.json")
    assert probes.num_photos == 3530
    np.testing.assert_allclose(probes("Andrea Bowen/Andrea Bowen_8994.png")[1], [245.82489528642856, 136.0], atol=400)


# Lists of photos.


def test_every_file_is_listed_once_whatever_links_there_are(tmp_path):
    root = tmp_path / "photos"
    for name in ("b/1.jpg", "b/deep/er/2.jpg", "a [x]/ü 3.jpg", "c\nd/4.jpg", "5.jpg"):
        save(root / name)
    (root / "b" / "up").symlink_to(root)
    (root / "a link").symlink_to(root / "b", target_is_directory=True)
    (root / "self").symlink_to(root / "self")
    (tmp_path / "elsewhere").mkdir()
    save(tmp_path / "elsewhere" / "6.jpg")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    folder, names, left_out = list_files(root)
    assert folder == root
    assert set(names) == {"b/1.jpg", "b/deep/er/2.jpg", "a [x]/ü 3.jpg", "c\nd/4.jpg", "5.jpg", "self", "linked/6.jpg"}
    assert names == sorted(names)
    assert dict(left_out) == dict.fromkeys(["b/up", "a link"], "a link to a folder that is listed already")


def test_a_source_without_photos_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a photo or a folder of photos"):
        list_files(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="got no file"):
        list_files(tmp_path)


def test_crops_of_photos_that_differ_by_extension_do_not_meet():
    names = ["a/1.jpg", "a/1.png", "b/1.JPG", "b/Bo Jr._2", "b/Bo Jr._3"]
    assert list(crop_names(names).values()) == ["a/1.jpg", "a/1.png", "b/1", "b/Bo Jr._2", "b/Bo Jr._3"]


# Folders of crops.


def test_a_folder_becomes_crops_in_its_layout(tmp_path):
    source = tmp_path / "in"
    for name in ("A b/1.png", "Ü [x]/deep/2.jpg", "n\nl/3.bmp", "4.pgm"):
        save(source / name)
    (source / "A b" / "text.jpg").write_text("no photo")
    (source / "A b" / "empty.jpg").touch()
    summary = align_folder(source, tmp_path / "out", ALIGNED, progress=False)
    assert files(tmp_path / "out") == {"A b/1.jpg", "Ü [x]/deep/2.jpg", "n\nl/3.jpg", "4.jpg"}
    reasons = skipped(tmp_path / "out")
    assert reasons.keys() == {"A b/text.jpg", "A b/empty.jpg"}
    assert reasons["A b/empty.jpg"] == "an empty file"
    assert (summary.counts["photos"], summary.counts["crops"], summary.counts["folders"]) == (4, 4, 4)
    assert "4 crops of 4 photos in 4 folders, 2 skipped\n        1  an empty file" in str(summary)


def test_one_photo_and_names_of_undecodable_bytes_are_taken(tmp_path):
    source = tmp_path / "in"
    save(source / "x.png")
    name = os.fsdecode(b"b\xff.png")
    os.rename(source / "x.png", source / name)
    align_folder(source, tmp_path / "folder", ALIGNED, "png", progress=False)
    assert files(tmp_path / "folder") == {name}
    assert align_folder(source, tmp_path / "folder", ALIGNED, "png", progress=False).counts["crops"] == 1
    align_folder(source / name, tmp_path / "one", ALIGNED, "jpg", progress=False)
    assert files(tmp_path / "one") == {os.fsdecode(b"b\xff.jpg")}


def test_aligned_photos_are_only_fitted(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, "png", progress=False)
    np.testing.assert_array_equal(read_photo(tmp_path / "out" / "a.png"), pixels[:, 8:104])


def test_jpeg_crops_are_near_the_pixels(tmp_path):
    save(tmp_path / "in" / "a.png", 200)
    align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)
    np.testing.assert_allclose(read_photo(tmp_path / "out" / "a.jpg").mean(axis=(0, 1)), [200, 100, 0], atol=2)


def test_listed_landmarks_make_crops(tmp_path):
    source = tmp_path / "in"
    shift = 40
    for name in ("a.png", "flat.png", "unlisted.png"):
        save(source / name, size=(200, 200))
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(source / "a.png")
    points = "\t".join(map(str, (TEMPLATE.landmarks + shift).ravel()))
    (tmp_path / "points").write_text(f"a.png\t{points}\nflat.png{chr(9)}{chr(9).join(['5'] * 10)}\n")
    make = Aligner(TEMPLATE, ListedLandmarks(tmp_path / "points"))
    align_folder(source, tmp_path / "out", make, "png", progress=False)
    found = read_photo(tmp_path / "out" / "a.png").astype(int)
    assert np.abs(found - pixels[shift : shift + 112, shift : shift + 96]).max() <= 1
    assert skipped(tmp_path / "out") == {
        "flat.png": "landmarks that are all the same",
        "unlisted.png": "no landmarks listed",
    }


class Counted(Aligner):
    """Counts the photos, and stops as if killed at one of them."""

    seen: list[str]
    stop_at = None

    def __call__(self, names, photos):
        if self.stop_at in names:
            raise KeyboardInterrupt
        type(self).seen += names
        return super().__call__(names, photos)


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_face.photos.reader._GROUP", 3)
    source, output = tmp_path / "in", tmp_path / "out"
    names = [save(source / f"{number}.png", number * 20).name for number in range(10)]
    (source / "bad.png").write_text("bad")
    Counted.seen, Counted.stop_at = [], "7.png"
    with pytest.raises(KeyboardInterrupt):
        align_folder(source, output, Counted(TEMPLATE, None), progress=False)
    done = list(Counted.seen)
    assert done == names[:6]
    (output / "5.jpg").write_bytes((output / "5.jpg").read_bytes()[:-9])  # as after a power cut
    (output / "4.jpg").unlink()
    with open(output / RECORD, "a") as file:
        file.write('{"name": "6.png", "pho')
    Counted.seen, Counted.stop_at = [], None
    summary = align_folder(source, output, Counted(TEMPLATE, None), progress=False)
    assert Counted.seen == ["4.png", "5.png", "6.png", "7.png", "8.png", "9.png"]
    assert (summary.counts["crops"], skipped(output).keys()) == (10, {"bad.png"})
    for number in range(10):
        np.testing.assert_allclose(read_photo(output / f"{number}.jpg")[..., 0].mean(), number * 20, atol=2)
    Counted.seen = []
    assert str(align_folder(source, output, Counted(TEMPLATE, None), progress=False)) == str(summary)
    assert Counted.seen == []
    save(source / "3.png", 250)
    save(source / "new.png")
    align_folder(source, output, Counted(TEMPLATE, None), progress=False)
    assert Counted.seen == ["3.png", "new.png"]
    np.testing.assert_allclose(read_photo(output / "3.jpg")[..., 0].mean(), 250, atol=2)


class Several(Aligner):
    """Finds as many faces as the first pixel says."""

    def __call__(self, names, photos):
        points = np.zeros((5, 2), np.float32)
        found = Face(np.ones(4, np.float32), points, 0.5)
        return [[Crop(photo[:112, :96], found)] * int(photo[0, 0, 0]) for photo in photos]


def test_all_faces_are_numbered_and_old_ones_go(tmp_path):
    save(tmp_path / "in" / "a.png", 3)
    save(tmp_path / "in" / "a.1.png", 1)
    make = Several(TEMPLATE, None, "all")
    summary = align_folder(tmp_path / "in", tmp_path / "out", make, progress=False)
    assert files(tmp_path / "out") == {"a.1.jpg", "a.2.jpg", "a.3.jpg", "a.1.1.jpg"}
    assert (summary.counts["photos"], summary.counts["crops"]) == (2, 4)
    save(tmp_path / "in" / "a.png", 2)
    align_folder(tmp_path / "in", tmp_path / "out", make, progress=False)
    assert files(tmp_path / "out") == {"a.1.jpg", "a.2.jpg", "a.1.1.jpg"}


def test_a_folder_is_not_gone_on_with_under_other_settings(tmp_path):
    save(tmp_path / "in" / "a.png")
    align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)
    with pytest.raises(ValueError, match="was made with encoding 'jpg', not 'png'; choose another output_dir"):
        align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, "png", progress=False)
    (tmp_path / "mine").mkdir()
    save(tmp_path / "mine" / "a.png")
    with pytest.raises(ValueError, match="neither empty nor made by this command"):
        align_folder(tmp_path / "in", tmp_path / "mine", ALIGNED, progress=False)
    assert files(tmp_path / "mine") == {"a.png"}


def test_two_runs_do_not_write_one_folder(tmp_path):
    save(tmp_path / "in" / "a.png")
    with open_journal(tmp_path / "out", {}), pytest.raises(ValueError, match="another process is writing"):
        align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)


def test_an_output_in_the_source_is_refused(tmp_path):
    save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="output_dir must not be in the source"):
        align_folder(tmp_path, tmp_path / "out", ALIGNED, progress=False)


def test_no_crop_at_all_is_an_error_that_says_why(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("no")
    with pytest.raises(ValueError, match=r"no photo gave a crop; left out: a.jpg \(neither JPEG"):
        align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)
    assert skipped(tmp_path / "out").keys() == {"a.jpg"}


def test_a_full_disk_leaves_no_half_crop(tmp_path):
    save(tmp_path / "in" / "a.png")
    noise = np.random.default_rng(0).integers(0, 256, (112, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in" / "b.png")  # its crop is larger than the disk has room for
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path / 'out' / 'b.jpg'}'"):
            align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "b.jpg" not in files(tmp_path / "out")
    align_folder(tmp_path / "in", tmp_path / "out", ALIGNED, progress=False)
    assert files(tmp_path / "out") == {"a.jpg", "b.jpg"}
    assert read_photo(tmp_path / "out" / "b.jpg").shape == (112, 96, 3)


# Records.


def test_people_become_records(tmp_path):
    source = tmp_path / "in"
    for name in ("B/1.png", "A/1.png", "A/2.png", "loose.png", "A/deep/3.png"):
        save(source / name)
    (source / "C").mkdir()
    (source / "C" / "bad.jpg").write_text("bad")
    summary = align_records(source, tmp_path / "records", ALIGNED, progress=False)
    info = dataset.open_dataset(tmp_path / "records")
    assert info.identities == ("A", "B")
    assert (info.num_images, info.image_size, info.template) == (3, (112, 96), "arcface112x96")
    assert sorted(info.index["label"]) == [0, 0, 1]
    reasons = skipped(tmp_path / "records")
    assert reasons.keys() == {"loose.png", "A/deep", "C/bad.jpg"} == {name for name, _ in summary.skipped}
    assert os.listdir(tmp_path).count("records.crops") == 0
    with pytest.raises(ValueError, match="must not exist yet"):
        align_records(source, tmp_path / "records", ALIGNED, progress=False)


def test_records_need_a_face_a_photo_and_people(tmp_path):
    save(tmp_path / "in" / "a.png")
    with pytest.raises(ValueError, match="records need one face of a photo"):
        align_records(tmp_path / "in", tmp_path / "records", Aligner(TEMPLATE, None, "all"), progress=False)
    with pytest.raises(ValueError, match=r"a folder of photos per person in .*, got no folder"):
        align_records(tmp_path / "in", tmp_path / "records", ALIGNED, progress=False)


# The command.


def test_the_command_aligns_real_photos(command, real_photos, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for number, path in enumerate(sorted((real_photos / "lfw" / "raw250_deepfunneled_sample").iterdir())[:4]):
        (source / f"person {number}").symlink_to(path)
    (source / "person 0 x").mkdir()
    (source / "person 0 x" / "noise.jpg").write_bytes(b"\xff\xd8\xff" + bytes(99))
    done = command(
        "tfrecords_tools.align",
        f"--source={source}",
        f"--output_dir={tmp_path / 'out'}",
        f"--sheet={tmp_path / 's.png'}",
    )
    assert done.returncode == 0, done.stderr
    crops = files(tmp_path / "out")
    assert len(crops) == len(list(source.glob("*/*.jpg"))) - 1
    assert f"{len(crops)} crops of {len(crops)} photos in 4 folders, 1 skipped" in done.stdout
    sheet = read_photo(tmp_path / "s.png")
    assert sheet.shape[1] > 1000
    assert sheet.std() > 30
    # A crop's own landmarks lie on the template.
    detector = Detector(min_face_size=40)
    found = detector([read_photo(tmp_path / "out" / name) for name in sorted(crops)])
    apart = [faces[0].landmarks - templates.template("arcface").landmarks for faces in found if faces]
    assert len(apart) >= len(crops) - 1
    assert np.linalg.norm(np.mean(apart, axis=0), axis=1).max() < 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--landmarks=none", "--faces=all"], "error: --faces has no use with --landmarks=none"),
        (["--landmarks=none", "--output_dir=/proc/no"], "error: .*/proc/no"),
    ],
)
def test_the_command_says_errors_in_one_line(command, tmp_path, arguments, message):
    import re

    save(tmp_path / "in" / "a.png")
    done = command(
        "tfrecords_tools.align", f"--source={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}", *arguments
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(message, last)
