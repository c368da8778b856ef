"""from_bin and to_bin: packed test sets, folders of photos with pairs, and back."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from formats_support import jpeg, pixels, png, run, skipped

from keras_face.evaluation.pickles import read_bin
from keras_face.evaluation.protocols import read_pairs
from keras_face.formats import bin_files
from keras_face.measurement import GreyPixels, PhotoSource
from keras_face.measurement.verification import measure_pairs, read_task
from keras_face.photos.images import decode


def write_bin(path: Path, images: list[bytes], flags: list[bool]) -> Path:
    path.write_bytes(pickle.dumps((images, flags), protocol=2))
    return path


def lfw_like(num_folds=10, size=2) -> tuple[list[bytes], list[bool]]:
    """Returns images and flags in the order of lfw.bin: in each fold genuine, then impostor pairs."""
    images, flags = [], []
    for pair in range(2 * num_folds * size):
        genuine = pair // size % 2 == 0
        images += [jpeg(pair), jpeg(pair) if genuine and pair % 3 == 0 else png(100 + pair)]
        flags.append(genuine)
    return images, flags


def unpacked(source: Path, output: Path, **options):
    return bin_files.unpack(source, output, progress=False, **options)


def pairs_of(folder: Path) -> list[tuple[bool, bytes, bytes]]:
    pairs = read_pairs(folder / "pairs.txt")
    sides = zip(pairs.genuine.tolist(), pairs.left, pairs.right, strict=True)
    return [(same, (folder / left).read_bytes(), (folder / right).read_bytes()) for same, left, right in sides]


def test_a_bin_becomes_a_folder_with_the_same_pairs_byte_for_byte(tmp_path):
    images, flags = lfw_like()
    summary = unpacked(write_bin(tmp_path / "a.bin", images, flags), tmp_path / "out")
    assert pairs_of(tmp_path / "out") == list(zip(flags, images[0::2], images[1::2], strict=True))
    assert str(summary) == f"{len(set(images))} photos, 20 genuine and 20 impostor pairs"
    assert len(list((tmp_path / "out" / "photos").iterdir())) == len(set(images))
    assert {path.suffix for path in (tmp_path / "out" / "photos").iterdir()} == {".jpg", ".png"}


def test_the_folder_is_measured_as_the_bin_is(tmp_path):
    source = write_bin(tmp_path / "a.bin", *lfw_like())
    unpacked(source, tmp_path / "out")
    grey = PhotoSource(GreyPixels((12, 10)))
    packed, folder = (measure_pairs(grey, read_task(data)).result for data in (source, tmp_path / "out"))
    assert folder.accuracy == packed.accuracy
    np.testing.assert_array_equal(read_pairs(tmp_path / "out" / "pairs.txt").fold, read_bin(source).pairs.fold)


def test_folds_that_change_are_said(tmp_path):
    images, flags = lfw_like()
    flags = [*flags[:-4], True, True, True, True]
    summary = unpacked(write_bin(tmp_path / "a.bin", images, flags), tmp_path / "out")
    assert str(summary).endswith(
        "the 10 folds of the result are not those of the source, so its accuracy may differ a little"
    )


def test_a_folder_becomes_the_bin_it_came_from(tmp_path):
    images, flags = lfw_like()
    unpacked(write_bin(tmp_path / "a.bin", images, flags), tmp_path / "out")
    summary = bin_files.pack(tmp_path / "out", tmp_path / "b.bin", progress=False)
    assert pickle.loads((tmp_path / "b.bin").read_bytes(), encoding="bytes") == (images, flags)
    assert "folds" not in str(summary)


def test_pairs_of_lfw_become_a_bin_in_the_order_of_the_folds(tmp_path):
    folder = tmp_path / "lfw"
    for person, name in enumerate(["A_B", "C"]):
        (folder / name).mkdir(parents=True)
        for photo in range(1, 4):
            (folder / name / f"{name}_{photo:04d}.jpg").write_bytes(jpeg(10 * person + photo))
    (folder / "pairs.txt").write_text("2\t1\nA_B\t1\t2\nA_B\t3\tC\t1\nC\t1\t3\nA_B\t2\tC\t2\n")
    summary = bin_files.pack(folder, tmp_path / "a.bin", progress=False)
    images, flags = pickle.loads((tmp_path / "a.bin").read_bytes())
    assert images == [jpeg(number) for number in (1, 2, 3, 11, 11, 13, 2, 12)]
    assert flags == [True, False, True, False]
    assert "the 10 folds of the result are not those of the source" in str(summary)  # a .bin has 10


def test_a_photo_of_another_ending_than_the_list_says_becomes_part_of_the_bin(tmp_path):
    folder = tmp_path / "lfw"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpeg").write_bytes(jpeg(number))
    (folder / "pairs.txt").write_text("1,0.png,1.png\n0,2.png,3.jpeg\n" * 10)
    bin_files.pack(folder, tmp_path / "a.bin", progress=False)
    images, _ = pickle.loads((tmp_path / "a.bin").read_bytes())
    assert sorted(set(images)) == sorted(jpeg(number) for number in range(4))


def test_arrays_of_lfw_np_become_png_with_the_same_pixels(tmp_path):
    genuine = [[pixels(n), pixels(100 + n)] for n in range(10)]
    impostor = [[pixels(200 + n), pixels(0)] for n in range(10)]
    (tmp_path / "lfw.np").write_bytes(pickle.dumps((genuine, impostor), protocol=4))
    summary = unpacked(tmp_path / "lfw.np", tmp_path / "out")
    assert "folds" not in str(summary)
    found = pairs_of(tmp_path / "out")
    assert [same for same, *_ in found] == [True] * 10 + [False] * 10
    for (_, *sides), expected in zip(found, genuine + impostor, strict=True):
        for side, image in zip(sides, expected, strict=True):
            np.testing.assert_array_equal(decode(side), image)


def test_a_damaged_photo_is_refused_or_takes_its_pairs_with_it(tmp_path):
    images, flags = lfw_like()
    images[5] = jpeg(77)[:-30]
    source = write_bin(tmp_path / "a.bin", images, flags)
    with pytest.raises(ValueError, match=r"photo \d+ is damaged or cut off, and 0 more; --skip_damaged"):
        unpacked(source, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
    summary = unpacked(source, tmp_path / "out", skip_damaged=True)
    assert (summary.counts["genuine"], summary.counts["impostor"], summary.counts["left_out"]) == (20, 19, 1)
    assert [reason for _, reason in skipped(tmp_path / "out")] == ["damaged or cut off"]
    assert (False, images[4], images[5]) not in pairs_of(tmp_path / "out")


@pytest.mark.parametrize("tenth", range(10))
def test_a_bin_that_is_cut_off_is_refused(tmp_path, tenth):
    content = write_bin(tmp_path / "a.bin", *lfw_like()).read_bytes()
    (tmp_path / "a.bin").write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(ValueError, match=r"a\.bin: expected a pickle of \(images, flags\), whole"):
        unpacked(tmp_path / "a.bin", tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_photos_that_are_missing_or_none_are_named(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    (folder / "pairs.txt").write_text("".join(f"{flag},a.jpg,b.jpg\n" for flag in (0, 1) for _ in range(10)))
    with pytest.raises(ValueError, match=r"photos: 1 of 2 photos are missing: b\.jpg"):
        bin_files.pack(folder, tmp_path / "a.bin", progress=False)
    (folder / "b.jpg").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"b\.jpg: expected a JPEG or PNG photo, got neither JPEG nor PNG"):
        bin_files.pack(folder, tmp_path / "a.bin", progress=False)
    with pytest.raises(ValueError, match=r"must end in \.bin"):
        bin_files.pack(folder, tmp_path / "a.pickle", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_the_commands_go_both_ways(tmp_path, monkeypatch, capsys):
    images, flags = lfw_like()
    source = write_bin(tmp_path / "a.bin", images, flags)
    out, back = tmp_path / "out", tmp_path / "b.bin"
    told = f"{len(set(images))} photos, 20 genuine and 20 impostor pairs"
    assert run(monkeypatch, capsys, "from_bin", "--source", source, "--output_dir", out)[:2] == (0, f"{out}: {told}\n")
    assert run(monkeypatch, capsys, "to_bin", "--source", out, "--output", back)[:2] == (0, f"{back}: {told}\n")
    assert read_bin(back).photos == read_bin(source).photos
    status, _, err = run(monkeypatch, capsys, "to_bin", "--source", out, "--output", back)
    assert (status, err.splitlines()[-1]) == (1, f"error: output_dir must not exist yet, but {back} does")


def test_the_real_bin_goes_both_ways(tmp_path, real_photos):
    source = real_photos / "fixtures" / "small_lfw.bin"
    summary = unpacked(source, tmp_path / "out")
    assert (summary.counts["genuine"], summary.counts["impostor"], "folds" not in str(summary)) == (
        10,
        0,
        False,
    )  # no impostors, so no folds
    images, _ = pickle.loads(source.read_bytes(), encoding="bytes")
    lines = [line.split(",") for line in (tmp_path / "out" / "pairs.txt").read_text().splitlines()]
    found = [(tmp_path / "out" / path).read_bytes() for line in lines for path in line[1:]]
    assert found == [np.asarray(image).tobytes() for image in images]  # it has its JPEG files in arrays
