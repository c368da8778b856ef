"""What photos are aligned to: said where they were aligned, and handed on to records and mixtures."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_face import synthetic
from keras_face.alignment import crop_files, masked, masked_landmarks, templates
from keras_face.alignment.aligner import Aligner
from keras_face.config import DatasetConfig, SyntheticConfig
from keras_face.masks.wardrobe import Wardrobe
from keras_face.photos.template import RECORD
from keras_face.records import from_photos, prepare
from keras_face.records.dataset import open_dataset
from keras_face.records.mixture import mix

NUMBERS = "64x48:12,20,36,20,24,32,16,44,32,44"


def photos(folder: Path, size=(112, 96)) -> Path:
    for number, name in enumerate(("Ann/1.png", "Ann/2.png", "Bo/1.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), (200, 150, 90 + 10 * number), np.uint8)).save(path)
    return folder


def aligned(folder: Path, name: str) -> Path:
    """Returns a folder of crops that were aligned before, as `align --landmarks none` makes it."""
    template = templates.template(name)
    source = photos(folder.with_name(f"{folder.name} photos"), template.image_size)
    crop_files.align_folder(source, folder, Aligner(template, None), progress=False)
    return folder


def written(source: Path, output: Path, **options) -> str:
    from_photos.write_folder(source, output, progress=False, **options)
    return open_dataset(output).template


@pytest.mark.parametrize("name", ["arcface", "arcface112x96", "seqface144_eyes", NUMBERS])
def test_records_have_the_template_that_their_folder_was_aligned_to(name, tmp_path):
    assert written(aligned(tmp_path / "crops", name), tmp_path / "set") == name


def test_the_commands_hand_the_template_on(tmp_path, command):
    source = photos(tmp_path / "photos")

    def run(tool, *flags):
        ended = command(f"tfrecords_tools.{tool}", *flags)
        assert ended.returncode == 0, ended.stderr

    run("align", f"--source={source}", f"--output_dir={tmp_path}/a", "--landmarks=none", "--template=arcface112x96")
    run("write_images", f"--source={tmp_path}/a", f"--output_dir={tmp_path}/set")
    facts = json.loads((tmp_path / "set" / "metadata.json").read_text())["keras_face"]
    assert facts["template"] == "arcface112x96"
    (tmp_path / "list.txt").write_text("Ann/1.png 0\nBo/1.png 1\n")
    listed = f"--list={tmp_path}/list.txt", f"--source={source}"
    run("from_list", *listed, f"--output_dir={tmp_path}/listed", "--template=arcface112x96")
    assert open_dataset(tmp_path / "listed").template == "arcface112x96"


def test_a_summary_says_that_the_template_is_not_known(tmp_path):
    source = photos(tmp_path / "photos")
    said = "it is not known what the photos are aligned to"
    assert said in str(from_photos.write_folder(source, tmp_path / "unsaid", progress=False))
    assert open_dataset(tmp_path / "unsaid").template == "unknown"
    assert said not in str(from_photos.write_folder(source, tmp_path / "said", progress=False, template="mine"))


def test_what_is_said_counts_where_no_record_is_and_must_agree_where_one_is(tmp_path):
    assert written(photos(tmp_path / "photos"), tmp_path / "said", template="arcface112x96") == "arcface112x96"
    crops = aligned(tmp_path / "crops", "arcface112x96")
    assert written(crops, tmp_path / "both", template="arcface112x96") == "arcface112x96"
    with pytest.raises(ValueError, match=r"expected the template arcface112x96, .* aligned\.jsonl .* got arcface$"):
        written(crops, tmp_path / "wrong", template="arcface")
    assert not (tmp_path / "wrong").exists()


def test_a_folder_within_an_aligned_one_has_its_record_and_a_linked_person_the_one_of_the_real_folder(tmp_path):
    source = tmp_path / "all"
    photos(source / "train")
    aligner = Aligner(templates.template("arcface112x96"), None)
    crop_files.align_folder(source, tmp_path / "crops", aligner, progress=False)
    assert written(tmp_path / "crops" / "train", tmp_path / "set") == "arcface112x96"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "Cy").symlink_to(tmp_path / "crops" / "train" / "Ann")
    assert written(tmp_path / "linked", tmp_path / "other") == "arcface112x96"


def test_photos_aligned_to_two_templates_are_refused(tmp_path):
    one, other, bare = "seqface144", "seqface144_eyes", "bare"
    lines = {one: f"{one}/Ann/1.jpg", other: f"{other}/Ann/1.jpg", bare: f"{bare}/Ann/1.png"}
    aligned(tmp_path / one, one)
    aligned(tmp_path / other, other)
    photos(tmp_path / bare, (144, 144))

    def of_list(*names, **options):
        (tmp_path / "list.txt").write_text("".join(f"{lines[name]} {n}\n" for n, name in enumerate(names)))
        from_photos.write_list(tmp_path / "list.txt", tmp_path, tmp_path / "set", progress=False, **options)

    expected = r"one template, got \S*/seqface144/Ann: seqface144, \S*/seqface144_eyes/Ann: seqface144_eyes$"
    with pytest.raises(ValueError, match=expected):
        of_list(one, other)
    with pytest.raises(ValueError, match=r"one template, got \S*/Ann: seqface144, \S*/bare/Ann: no aligned\.jsonl$"):
        of_list(one, bare)
    of_list(one, bare, template=one)
    assert open_dataset(tmp_path / "set").template == one


@pytest.mark.parametrize("text", ["", "{\n", "[]\n", '{"settings": 3}\n', "\x00\x01\n"])
def test_a_damaged_record_is_named(text, tmp_path):
    crops = aligned(tmp_path / "crops", "arcface")
    (crops / RECORD).write_text(text)
    with pytest.raises(ValueError, match=r"crops/aligned\.jsonl is damaged: expected settings in its first line"):
        written(crops, tmp_path / "set")
    if text:  # an empty one is what a run leaves that was killed at once
        with pytest.raises(ValueError, match=r"aligned\.jsonl is damaged"):
            aligned(tmp_path / "crops", "arcface")


@pytest.mark.parametrize("name", ["arcface", "arcface112x96"])
def test_masked_twins_are_aligned_as_their_photos_are(name, tmp_path):
    crops = aligned(tmp_path / "crops", name)
    options = {"settings": {}, "progress": False}
    masked.mask_folder(crops, tmp_path / "twins", masked_landmarks.aligned, Wardrobe(["surgical"]), **options)
    assert written(tmp_path / "twins", tmp_path / "set") == name


def test_masks_are_not_drawn_where_the_faces_are_not(tmp_path):
    crops = aligned(tmp_path / "crops", "seqface144")
    with pytest.raises(ValueError, match=r"expected crops aligned to arcface, .* got seqface144"):
        masked.mask_folder(
            crops, tmp_path / "twins", masked_landmarks.aligned, Wardrobe(["surgical"]), {}, progress=False
        )


def test_drawn_people_are_aligned_to_arcface(tmp_path):
    synthetic.write_photos(tmp_path / "drawn", num_people=2, photos_per_person=1)
    assert written(tmp_path / "drawn", tmp_path / "set") == "arcface"


def opened(tmp_path: Path, name: str, section: DatasetConfig):
    drawn = SyntheticConfig(people=2, photos_per_person=2, tracks=2, frames_per_track=2)
    [dataset], _ = prepare.training_datasets([name], {name: section}, drawn, 0, tmp_path / "run")
    return dataset


def test_a_dataset_section_says_the_template_where_the_photos_do_not(tmp_path):
    crops, bare = aligned(tmp_path / "crops", "arcface112x96"), photos(tmp_path / "bare")
    assert opened(tmp_path, "crops", DatasetConfig(photos=str(crops))).template == "arcface112x96"
    said = DatasetConfig(photos=str(bare), template="arcface112x96")
    assert opened(tmp_path, "said", said).template == "arcface112x96"
    unsaid = DatasetConfig(photos=str(bare))
    assert opened(tmp_path, "unsaid", unsaid).template == "unknown"
    later = dataclasses.replace(unsaid, template="arcface112x96")  # of records that are there
    assert opened(tmp_path, "unsaid", later).template == "arcface112x96"
    wrong = DatasetConfig(records=str(tmp_path / "run" / "records" / "crops"), template="arcface")
    with pytest.raises(ValueError, match=r"\[other\] template: expected arcface112x96, .* got arcface$"):
        opened(tmp_path, "other", wrong)


def test_drawn_tracks_are_aligned_to_arcface(tmp_path):
    assert opened(tmp_path, "synthetic_tracks", DatasetConfig()).template == "arcface"


def test_datasets_are_mixed_if_their_templates_agree(tmp_path, caplog):
    written(photos(tmp_path / "a"), tmp_path / "unsaid")
    written(photos(tmp_path / "b"), tmp_path / "narrow", template="arcface112x96")
    unsaid, narrow = open_dataset(tmp_path / "unsaid"), open_dataset(tmp_path / "narrow")
    with caplog.at_level(logging.WARNING, "keras_face"):
        assert mix([unsaid], [None]).template == "unknown"
        assert mix([narrow], [None]).template == "arcface112x96"
        assert not caplog.messages
        assert mix([unsaid, narrow], [None, None]).template == "arcface112x96"
    assert [text for text in caplog.messages if "unsaid: unknown, narrow: arcface112x96" in text]
    wide = dataclasses.replace(unsaid, template="arcface")
    with pytest.raises(ValueError, match="same template, got unsaid: arcface, narrow: arcface112x96"):
        mix([wide, narrow], [None, None])
