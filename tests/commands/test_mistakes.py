"""Mistakes are met before work: one line that says what was meant, or the command that comes first."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_face.export import find_version
from keras_face.photos.template import write_record


def write_photos(folder, sizes):
    """Writes grey photos of four people, of so many sizes (width, height)."""
    for number, size in enumerate(sizes):
        path = folder / f"Person {number % 4}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        Image.fromarray(np.full((*size[::-1], 3), 90 + number, np.uint8)).save(content, "JPEG")
        path.write_bytes(content.getvalue())
    return folder


ALL_DIFFERENT = [(40 + number, 60) for number in range(8)]
CROPS = [(32, 32)] * 8


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train_centre", "config.ini"], "'config.ini'; did you mean --config config.ini?"),
        (["train_triplet", "config.ini", "--output_dir=a"], "did you mean --config config.ini?"),
        (["eval.test_lfw", "output/run", "crops"], "did you mean --model_path output/run?"),
        (["eval.test_lfw", "--model_path=output/run", "crops"], "did you mean --source crops?"),
        (["tfrecords_tools.write_images", "crops", "records"], "did you mean --source crops?"),
        (["tfrecords_tools.inspect", "records"], "did you mean --records records?"),
        (
            ["tfrecords_tools.inspect", "--records=a", "--model_path=b", "--source=c", "--output_dir=d", "e"],
            "got 'e'\n",
        ),
    ],
)
def test_an_argument_without_a_flag_names_the_flag_that_was_meant(command, arguments, meant):
    done = command(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected flags alone, got ")
    assert meant in done.stderr
    assert done.stderr.count("\n") == 1


def test_whole_photos_are_not_written_but_aligned_first(command, tmp_path):
    photos = write_photos(tmp_path / "photos", ALL_DIFFERENT)
    done = command("tfrecords_tools.write_images", "--source", photos, "--output_dir", tmp_path / "records")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {photos}: expected aligned photos, which are all of one size, got 8 sizes: 1 of 8")
    assert last.endswith(f"python -m tfrecords_tools.align --source {photos} --output_dir {photos}_aligned")
    assert list(tmp_path.iterdir()) == [photos]


def test_a_few_photos_of_another_size_are_left_out_and_the_rest_is_written(command, tmp_path):
    photos = write_photos(tmp_path / "photos", CROPS + ALL_DIFFERENT[:3])
    done = command("tfrecords_tools.write_images", "--source", photos, "--output_dir", tmp_path / "records")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        f"{tmp_path / 'records'}: 4 people, 8 photos, 3 skipped",
    )


def test_whole_photos_are_not_measured_but_aligned_first(command, tmp_path):
    arguments = ("--model_path", tmp_path / "no model", "--folds=2", "--output_dir", tmp_path / "out", "--source")
    photos = write_photos(tmp_path / "photos", ALL_DIFFERENT)
    done = command("eval.test_folder", *arguments, photos)
    assert done.returncode == 1
    assert "expected aligned photos" in done.stderr
    assert f"tfrecords_tools.align --source {photos}" in done.stderr
    # Crops, and photos whose folder says what they are aligned to, come as far as to the model that is not there.
    write_record(photos, "arcface")
    for aligned in (photos, write_photos(tmp_path / "crops", CROPS)):
        done = command("eval.test_folder", *arguments, aligned)
        assert "no model: expected a SavedModel folder" in done.stderr


@pytest.mark.parametrize("given", ["run", "run/checkpoints", "run/checkpoints/ckpt-3", "run/checkpoints/best"])
def test_a_checkpoint_instead_of_a_model_names_what_exports_it(tmp_path, given):
    for folder in ("run/checkpoints", "run/checkpoints/best"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("checkpoint", "ckpt-3.index"):
            (tmp_path / folder / name).write_bytes(b"")
    with pytest.raises(ValueError, match="expected a SavedModel folder") as raised:
        find_version(tmp_path / given)
    assert str(raised.value).endswith(f"python -m train_centre --config {tmp_path / 'run' / 'config.ini'}")
    if given != "run":
        model = tmp_path / "run" / "export" / "3" / "saved_model.pb"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"")
        with pytest.raises(ValueError, match="got a checkpoint; the model that its run exported is ") as raised:
            find_version(tmp_path / given)
        assert str(raised.value).endswith(str(tmp_path / "run"))
        assert find_version(tmp_path / "run") == model.parent


def test_a_checkpoint_alone_cannot_be_exported(tmp_path):
    (tmp_path / "ckpt-3.index").write_bytes(b"")
    with pytest.raises(ValueError, match="got a checkpoint, which only the run that it is of can export"):
        find_version(tmp_path / "ckpt-3")
