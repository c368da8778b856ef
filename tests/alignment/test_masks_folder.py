"""Masked twins of a folder: same layout, nothing lost, the same masks in any order and after an interruption."""

import csv

import cv2
import numpy as np
import pytest

from keras_face.alignment import masked, masked_landmarks
from keras_face.masks import landmarks
from keras_face.masks.mean_face import five_points
from keras_face.masks.wardrobe import Wardrobe
from keras_face.photos.files import read_photo

WARDROBE = Wardrobe(["surgical", "n95"])


@pytest.fixture
def source(tmp_path):
    random = np.random.default_rng(0)
    for name in ("ann/1.png", "ann/2.png", "bob [é]/1 x.png", "bob [é]/2.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo = cv2.GaussianBlur(random.integers(60, 250, (112, 112, 3), np.uint8), (0, 0), 6)
        path.write_bytes(cv2.imencode(path.suffix, photo)[1].tobytes())
    (tmp_path / "photos/bob [é]/words.txt").write_text("no photo")
    return tmp_path / "photos"


def make(source, output, find=masked_landmarks.aligned, **options):
    options = {"progress": False, "encoding": "png", "wardrobe": WARDROBE, "settings": {}, **options}
    return masked.mask_folder(source, output, find, options.pop("wardrobe"), options.pop("settings"), **options)


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def twins(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_twins_have_the_layout_of_their_photos_and_a_list(source, tmp_path):
    summary = make(source, tmp_path / "out", sheet=tmp_path / "sheet.png", list_file=tmp_path / "twins.csv")
    assert (summary.counts["photos"], summary.counts["twins"], summary.counts["people"]) == (5, 4, 2)
    assert str(summary).startswith("4 masked twins of 5 photos, 2 people, 1 skipped")
    listed = rows(tmp_path / "twins.csv")
    assert list(listed[0]) == list(masked.LIST_HEADER)
    assert [(row["original"], row["masked"], row["person"]) for row in listed] == [
        ("ann/1.png", "ann/1.png", "ann"),
        ("ann/2.png", "ann/2.png", "ann"),
        ("bob [é]/1 x.png", "bob [é]/1 x.png", "bob [é]"),
        ("bob [é]/2.jpg", "bob [é]/2.png", "bob [é]"),
    ]
    assert [row["name"] for row in rows(tmp_path / "out/skipped.csv")] == ["bob [é]/words.txt"]
    for row in listed:
        before, after = read_photo(source / row["original"]), read_photo(tmp_path / "out" / row["masked"])
        np.testing.assert_array_equal(after[:40], before[:40])  # eyes and forehead
        assert (after[70:] != before[70:]).any(axis=-1).mean() > 0.4
        mask = WARDROBE.choose(0, row["original"])
        assert (row["picture"], row["colour"], row["pattern"]) == (mask.picture, mask.colour, mask.pattern)
    sheet = read_photo(tmp_path / "sheet.png")
    assert sheet.shape[0] > 320
    assert sheet.std() > 10


def test_an_interrupted_run_goes_on_and_ends_the_same(source, tmp_path):
    make(source, tmp_path / "whole")

    def interrupted(names, crops):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(source, tmp_path / "out", interrupted)
    (source / "ann/1.png").rename(tmp_path / "later.png")
    make(source, tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    (tmp_path / "later.png").rename(source / "ann/1.png")
    (tmp_path / "out/ann/2.png").unlink()
    make(source, tmp_path / "out")
    assert twins(tmp_path / "out") == twins(tmp_path / "whole")
    kept = tmp_path / "out/bob [é]/2.png"
    assert kept.stat().st_mtime_ns == times[kept]
    assert rows(tmp_path / "out/masked.csv") == rows(tmp_path / "whole/masked.csv")


def test_a_folder_made_otherwise_is_refused(source, tmp_path):
    make(source, tmp_path / "out")
    for options in ({"seed": 1}, {"blur": 0.5}, {"wardrobe": Wardrobe(["cloth"])}, {"match_light": False}):
        with pytest.raises(ValueError, match="was made with"):
            make(source, tmp_path / "out", **options)
    for output, message in ((source / "in", "must not be in the source"), (tmp_path, "neither empty nor made")):
        with pytest.raises(ValueError, match=message):
            make(source, output)
    with pytest.raises(ValueError, match="encoding"):
        make(source, tmp_path / "other", encoding="gif")
    with pytest.raises(ValueError, match="blur"):
        make(source, tmp_path / "other", blur=float("nan"))


def test_a_mask_picture_that_changed_is_another_mask(source, tmp_path):
    for number, colour in enumerate(((0, 0, 255, 255), (0, 255, 0, 255))):
        cv2.imwrite(str(tmp_path / "mask.png"), np.full((20, 30, 4), colour, np.uint8))
        if number == 0:
            make(source, tmp_path / "out", wardrobe=Wardrobe([str(tmp_path / "mask.png")]))
    with pytest.raises(ValueError, match="was made with"):
        make(source, tmp_path / "out", wardrobe=Wardrobe([str(tmp_path / "mask.png")]))


def test_listed_landmarks_move_the_mask_and_photos_without_any_are_skipped(source, tmp_path):
    points = landmarks.aligned((112, 112)) - (20, 30)
    sixty_eight = "\t".join(str(number) for number in points.round(2).ravel())
    mirrored = "\t".join(str(number) for number in (points * (-1, 1)).round(2).ravel())
    far = "\t".join(str(number) for number in (points + 1000).round(2).ravel())
    (tmp_path / "68.txt").write_text(
        f"ann/1.png\t{sixty_eight}\nbob [é]/1 x.png,{sixty_eight}\nann/2.png\t{mirrored}\nbob [é]/2.jpg {far}\n",
        "utf-8",
    )
    make(source, tmp_path / "out", masked_landmarks.Listed68(tmp_path / "68.txt"))
    assert [row["original"] for row in rows(tmp_path / "out/masked.csv")] == ["ann/1.png", "bob [é]/1 x.png"]
    reasons = {row["name"]: row["reason"] for row in rows(tmp_path / "out/skipped.csv")}
    assert reasons["ann/2.png"].startswith("landmarks that are no face")
    assert reasons["bob [é]/2.jpg"] == "the mask lies outside the photo"
    before, after = read_photo(source / "ann/1.png"), read_photo(tmp_path / "out/ann/1.png")
    assert (before != after).any(axis=-1)[112 - 14 :].sum() == 0  # the chin is 30 pixels higher

    five = five_points(points)
    (tmp_path / "5.txt").write_text("ann/1.png\t" + "\t".join(map(str, five.ravel())) + "\n")
    make(source, tmp_path / "out5", masked_landmarks.Listed5(tmp_path / "5.txt"))
    assert [row["original"] for row in rows(tmp_path / "out5/masked.csv")] == ["ann/1.png"]
    changed = (read_photo(tmp_path / "out5/ann/1.png") != after).any(axis=-1).mean()
    assert changed < 0.25  # five points of the mean face give the mean face, and nearly the same mask


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got none"),
        ("ann/1.png 1 2 3\n", ":1: expected a path and 136 numbers"),
        (2 * ("ann/1.png" + " 1" * 136 + "\n"), ":2: expected each photo once"),
    ],
)
def test_wrong_landmark_files_are_refused(tmp_path, text, message):
    (tmp_path / "68.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        masked_landmarks.Listed68(tmp_path / "68.txt")


def test_the_command_says_what_it_did_and_one_line_for_an_error(source, tmp_path, command):
    def run(*options):
        return command("tfrecords_tools.mask", f"--source={source}", f"--output_dir={tmp_path / 'out'}", *options)

    done = run("--picture=cloth", "--colour=#804020", "--pattern=plain", f"--sheet={tmp_path / 'sheet.png'}")
    assert done.returncode == 0, done.stderr
    assert "4 masked twins of 5 photos" in done.stdout
    assert (tmp_path / "sheet.png").is_file()
    assert {row["colour"] for row in rows(tmp_path / "out/masked.csv")} == {"#804020"}
    wrong = run("--landmarks=points68")
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert wrong.stderr.strip().splitlines()[-1].startswith("error: expected --landmarks_file")
