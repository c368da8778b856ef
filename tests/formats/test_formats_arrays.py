"""from_np, from_tfds and from_list."""

import io
import shutil

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from formats_support import jpeg, photos, pixels, png, read, run, skipped

from keras_face.formats import arrays, tfds_sets
from keras_face.photos.images import decode
from keras_face.records import writing

IMAGES = np.stack([pixels(number) for number in range(7)])
LABELS = np.array([30, 4, 30, 30, 7, 4, 30])


def save(folder, images=IMAGES, labels=LABELS):
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return folder / "images.npy", folder / "labels.npy"


def convert(folder, images, labels, **options):
    return arrays.write_arrays(images, labels, folder / "out", progress=False, **{"colour_order": "rgb", **options})


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("packed", [True, False])
def test_an_array_becomes_records_with_every_pixel(tmp_path, order, packed):
    if packed:
        np.savez_compressed(tmp_path / "all.npz", images=IMAGES, labels=LABELS)
        summary = convert(tmp_path, tmp_path / "all.npz", None, colour_order=order)
    else:
        summary = convert(tmp_path, *save(tmp_path), colour_order=order)
    assert (summary.counts["people"], summary.counts["photos"]) == (3, 7)
    assert writing.open_dataset(tmp_path / "out").identities == ("4", "7", "30")
    found = sorted((name, decode(image).numpy().tolist()) for name, (image,) in read(tmp_path / "out"))
    rgb = IMAGES if order == "rgb" else IMAGES[..., ::-1]
    assert found == sorted((str(label), image.tolist()) for label, image in zip(LABELS, rgb, strict=True))


@pytest.mark.parametrize("grey", [IMAGES[..., 0], IMAGES[..., :1]])
@pytest.mark.parametrize("quality", [0, 100])
def test_grey_photos_get_three_equal_channels(tmp_path, grey, quality):
    convert(tmp_path, *save(tmp_path, grey), quality=quality)
    found = {name: decode(image).numpy() for name, (image,) in read(tmp_path / "out") if name == "7"}
    assert np.ptp(found["7"], axis=2).max() == 0
    np.testing.assert_allclose(found["7"][..., 0], IMAGES[4, ..., 0], atol=2 if quality else 0)


def test_jpeg_of_a_quality_is_that_of_opencv(tmp_path):
    convert(tmp_path, *save(tmp_path), quality=80)
    expected = [cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes() for image in IMAGES]
    assert photos(tmp_path / "out") == sorted(zip(map(str, LABELS.tolist()), expected, strict=True))


def test_names_may_be_the_labels(tmp_path):
    convert(tmp_path, *save(tmp_path, IMAGES[:3], np.array(["Zoë", "Al", "Zoë"])), set_size=2)
    assert [(name, len(images)) for name, images in read(tmp_path / "out")] == [("Al", 1), ("Zoë", 2)]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES / 255.0, LABELS, r"uint8 \[photos, .*\], got float64 \[7, 12, 10, 3\]; scale to 0 ... 255"),
        (IMAGES[..., :2], LABELS, r"or grey \[photos, height, width\] .* got uint8 \[7, 12, 10, 2\]"),
        (IMAGES, LABELS - 5, "got -1 at photo 1: negative stands for an unknown person"),
        (IMAGES[0, 0], LABELS, r"got uint8 \[10, 3\]"),
        (IMAGES[:0], LABELS[:0], r"got uint8 \[0, 12, 10, 3\]"),
        (IMAGES.transpose(0, 3, 1, 2), LABELS, r"got uint8 \[7, 3, 12, 10\]"),
        (IMAGES, LABELS[:6], r"expected \[7\] whole numbers or text, got int64 \[6\]"),
        (IMAGES, LABELS + 0.5, r"got float64 \[7\]"),
        (IMAGES, np.eye(7, dtype=int), r"got int64 \[7, 7\]"),
        (IMAGES, np.array([None] * 7), "expected NumPy's file of an array"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, images, labels, message):
    paths = save(tmp_path, images, labels)
    with pytest.raises(ValueError, match=message):
        convert(tmp_path, *paths)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("tenth", range(10))
def test_an_array_file_that_is_cut_off_is_refused(tmp_path, suffix, tenth):
    path = tmp_path / f"a.{suffix}"
    _, labels = save(tmp_path)
    np.save(path, IMAGES) if suffix == "npy" else np.savez(path, images=IMAGES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: expected NumPy's file of an array"):
        convert(tmp_path, path, labels)


def test_an_array_that_is_not_in_the_file_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    with pytest.raises(ValueError, match="no array 'images' in it, but x, y"):
        convert(tmp_path, tmp_path / "a.npz", None)
    assert convert(tmp_path, tmp_path / "a.npz", None, images_key="x", labels_key="y").counts["photos"] == 7


def test_the_command_takes_arrays(tmp_path, monkeypatch, capsys):
    images, labels = save(tmp_path)
    out = tmp_path / "out"
    flags = ["--source", images, "--labels", labels, "--output_dir", out, "--min_photos", 2, "--colour_order", "bgr"]
    flags += ["--template", "arcface"]
    done = run(monkeypatch, capsys, "from_np", *flags)
    assert done[:2] == (0, f"{out}: 2 people, 6 photos, 1 skipped\n        1  fewer than 2 good photos\n")
    assert skipped(out) == [("7", "fewer than 2 good photos")]


def test_the_command_takes_lists(tmp_path, monkeypatch, capsys):
    (tmp_path / "a b.jpg").write_bytes(jpeg(1))
    (tmp_path / "c.png").write_bytes(png(2))
    (tmp_path / "list.txt").write_text("a b.jpg,5\nc.png,3\n")
    out = tmp_path / "out"
    flags = ["--list", tmp_path / "list.txt", "--output_dir", out, "--template", "arcface112x96"]
    done = run(monkeypatch, capsys, "from_list", *flags)
    assert done[:2] == (0, f"{out}: 2 people, 2 photos, 0 skipped\n")
    assert photos(out) == [("3", png(2)), ("5", jpeg(1))]
    assert writing.open_dataset(out).template == "arcface112x96"
    (tmp_path / "list.txt").write_text("c.png three\n")
    done = run(monkeypatch, capsys, "from_list", "--list", tmp_path / "list.txt", "--output_dir", tmp_path / "new")
    assert done[0] == 1
    assert "list.txt, line 1: expected a photo and its person as in `ann/1.jpg 0`" in done[2].splitlines()[-1]


EXAMPLES = [
    {"image": jpeg(0), "label": 1, "who": "Zoë", "in": {"number": 12}},
    {"image": png(1), "label": 0, "who": "Al", "in": {"number": 3}},
    {"image": jpeg(2), "label": 1, "who": "Al", "in": {"number": 12}},
    {"image": jpeg(3, (9, 9)), "label": 1, "who": "Al", "in": {"number": 3}},
]


class PeopleSet(tfds.core.GeneratorBasedBuilder):
    """A set as TensorFlow Datasets writes it; its part `test` has the first two photos only."""

    __module__ = "keras_face"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            "label": tfds.features.ClassLabel(names=["first", "second"]),
            "who": tfds.features.Text(),
            "in": tfds.features.FeaturesDict({"number": np.int64}),
            "box": tfds.features.BBoxFeature(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._some(4), "test": self._some(2)}

    def _some(self, count):
        for number, example in enumerate(EXAMPLES[:count]):
            box = tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
            yield number, {**example, "image": io.BytesIO(example["image"]), "box": box}

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture(scope="module")
def people_set(tmp_path_factory):
    tfds.disable_progress_bar()
    builder = PeopleSet(data_dir=tmp_path_factory.mktemp("tfds"))
    builder.download_and_prepare()
    return builder.data_path


def expected(key: str, count: int = 3) -> list[tuple[str, bytes]]:
    """Returns person and photo of the examples whose photos are 12x10."""
    persons = {
        "label": lambda example: ["first", "second"][example["label"]],
        "who": lambda example: example["who"],
        "in/number": lambda example: str(example["in"]["number"]),
    }
    return sorted((persons[key](example), example["image"]) for example in EXAMPLES[:count])


@pytest.mark.parametrize("key", ["label", "who", "in/number"])
def test_a_set_of_tfds_becomes_records_byte_for_byte(tmp_path, people_set, key):
    tfds_sets.write_tfds(tmp_path / "out", builder_dir=people_set, label_key=key, progress=False)
    dataset = writing.open_dataset(tmp_path / "out")
    assert photos(tmp_path / "out") == expected(key)
    assert dataset.identities == {"label": ("first", "second"), "who": ("Al", "Zoë"), "in/number": ("3", "12")}[key]
    assert dataset.template == "unknown"
    ((name, reason),) = skipped(tmp_path / "out")
    assert name.startswith({"label": "second/", "who": "Al/", "in/number": "3/"}[key])
    assert reason == "9x9, expected height x width 12x10"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_parts_of_a_set_and_sets_of_photos(tmp_path, people_set):
    tfds_sets.write_tfds(tmp_path / "test", builder_dir=people_set, split="test", progress=False)
    assert photos(tmp_path / "test") == expected("label", 2)
    tfds_sets.write_tfds(tmp_path / "both", builder_dir=people_set, split="train+test", set_size=5, progress=False)
    assert photos(tmp_path / "both") == sorted(expected("label") + expected("label", 2))
    assert len(read(tmp_path / "both")) == 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "valid"}, "valid"),
        ({"image_key": "photo"}, "expected a feature 'photo', got .*image.*in/number"),
        ({"label_key": "in"}, "in must be a ClassLabel, Text or one whole number"),
        ({"label_key": "box"}, "box must be a ClassLabel"),
        ({"image_key": "who"}, "who must be an Image"),
        ({"min_photos": 9}, "nobody has 9 good photos"),
        ({"name": "lfw"}, "either the name of a set or the folder"),
    ],
)
def test_what_a_set_does_not_have_is_said(tmp_path, people_set, options, message):
    with pytest.raises(ValueError, match=message):
        tfds_sets.write_tfds(tmp_path / "out", builder_dir=people_set, progress=False, **options)
    assert not list(tmp_path.iterdir())


def test_a_damaged_set_is_one_line(tmp_path, people_set, monkeypatch, capsys):
    damaged = tmp_path / "set"
    shutil.copytree(people_set, damaged)
    (shard,) = damaged.glob("*train*tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-40])
    done = run(monkeypatch, capsys, "from_tfds", "--builder_dir", damaged, "--output_dir", tmp_path / "out")
    assert done[0] == 1
    assert "cannot be read" in done[2].splitlines()[-1]
    (damaged / "dataset_info.json").write_text('{"a": 1}')
    for folder in (damaged, tmp_path / "no"):
        done = run(monkeypatch, capsys, "from_tfds", "--builder_dir", folder, "--output_dir", tmp_path / "out")
        assert done[0] == 1
        assert done[2].splitlines()[-1].startswith(f"error: {folder}: expected a dataset of TensorFlow Datasets")
    done = run(monkeypatch, capsys, "from_tfds", "--name", "no_such_set", "--output_dir", tmp_path / "out")
    assert done[2].splitlines()[-1] == f"error: TensorFlow Datasets {tfds.__version__} has no set 'no_such_set'"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    done = run(monkeypatch, capsys, "from_tfds", "--builder_dir", people_set, "--output_dir", tmp_path / "out")
    assert done[1].splitlines()[0] == f"{tmp_path / 'out'}: 2 people, 3 photos, 1 skipped"
