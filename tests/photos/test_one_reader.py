"""One picture through every reader: writing and training, evaluation, inspection, alignment."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_face.alignment import aligner, crop_files, templates
from keras_face.backend import tf
from keras_face.inspection import doctor, facts, rewriting, sources
from keras_face.masks.pictures import read_mask_picture
from keras_face.masks.wardrobe import Wardrobe
from keras_face.measurement.photos import embed
from keras_face.photos import headers, images, limit, pixels
from keras_face.photos.files import PhotoError, read_photo
from keras_face.records import from_photos, streams, writing

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
SIDE = 48


@pytest.fixture
def photo() -> np.ndarray:
    """Smooth, so that lossy formats stay near it, and without any symmetry."""
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack([right * 5, down * 5, 255 - right * 2 - down * 3], axis=2).clip(0, 255).astype(np.uint8)


def stored(photo: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores of a photo that its tag says how to turn back (EXIF 2.3, tag 274)."""
    return np.ascontiguousarray(
        {
            1: photo,
            2: photo[:, ::-1],
            3: photo[::-1, ::-1],
            4: photo[::-1],
            5: photo.transpose(1, 0, 2),
            6: np.rot90(photo, 1),
            7: photo[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(photo, -1),
        }[orientation]
    )


def file_of(image: np.ndarray | Image.Image, kind: str, orientation: int | None = None, **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if orientation is not None:
        exif = Image.Exif()
        exif[274] = orientation
        options["exif"] = exif
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def as_people(folder, photos: dict[str, bytes]):
    """Writes photos of one person each, and gives the folder."""
    for name, data in photos.items():
        (folder / name).mkdir(parents=True)
        ending = "png" if data.startswith(b"\x89PNG") else "jpg"
        (folder / name / f"{name}.{ending}").write_bytes(data)
    return folder


def trained_on(path, size=(SIDE, SIDE)) -> dict[str, np.ndarray]:
    """Returns what the training sees of each person's photo."""
    dataset = writing.open_dataset(path)
    stream = streams.train_stream(streams.mix([dataset], [1.0]), batch_size=dataset.num_images, seed=0, image_size=size)
    batch = next(stream.take(1).as_numpy_iterator())
    return {name.decode().split("/")[0]: image for name, image in zip(batch["names"], batch["images"], strict=True)}


class Pixels:
    """An embedder whose embedding is the photo itself."""

    name, batch_size, image_size = "pixels", 8, (SIDE, SIDE)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return batch.reshape(len(batch), -1).astype(np.float32)


def assert_same(found: np.ndarray, expected: np.ndarray, lossy: bool) -> None:
    assert found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 3 if lossy else difference.max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_all_orientations_are_one_picture_to_every_reader(tmp_path, photo, kind):
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    files = {str(number): file_of(stored(photo, number), kind, number, **options) for number in range(1, 9)}
    lossy = kind == "JPEG"
    source = as_people(tmp_path / "photos", files)
    from_photos.write_folder(source, tmp_path / "records", progress=False)
    for image in trained_on(tmp_path / "records").values():
        assert_same(image, photo, lossy)
    paths = sorted(source.glob("*/*"))
    for given in (paths, [path.read_bytes() for path in paths]):
        for unit in embed(Pixels(), given, flip=False).embeddings:
            image = unit * np.linalg.norm(photo.astype(np.float32))
            assert_same(image.reshape(photo.shape).round(), photo, lossy)
    for _, image in facts.decode_all([path.read_bytes() for path in paths], (SIDE, SIDE)):
        assert_same(image, photo, lossy)
    template = templates.template(f"{SIDE}x{SIDE}:10,10,30,10,20,20,12,30,28,30")
    crop_files.align_folder(source, tmp_path / "crops", aligner.Aligner(template, None), "png", progress=False)
    for path in (tmp_path / "crops").glob("*/*.png"):
        assert_same(np.array(Image.open(path)), photo, lossy)


def test_only_what_must_change_is_encoded_again(tmp_path, photo):
    files = {
        "none": file_of(photo, "JPEG"),
        "upright": file_of(photo, "JPEG", 1),
        "sideways": file_of(stored(photo, 6), "JPEG", 6, quality=95),
        "opaque": file_of(np.dstack([photo, np.full((SIDE, SIDE), 255, np.uint8)]), "PNG"),
        "empty": file_of(np.dstack([photo, np.zeros((SIDE, SIDE), np.uint8)]), "PNG"),
        "half": file_of(np.dstack([photo, np.full((SIDE, SIDE), 128, np.uint8)]), "PNG"),
        "deep": file_of(Image.fromarray(photo[:, :, 0].astype(np.uint16) * 257 + 200), "PNG"),
        "print": file_of(Image.fromarray(photo).convert("CMYK"), "JPEG"),
    }
    source = as_people(tmp_path / "photos", files)
    from_photos.write_folder(source, tmp_path / "records", progress=False)
    records = tf.data.TFRecordDataset(writing.open_dataset(tmp_path / "records").shards)
    parsed = writing.parse(list(records))
    names = [name.decode().split("/")[0] for name in parsed["name"].numpy()]
    kept = {name for name, (data,) in zip(names, parsed["images"].to_list(), strict=True) if data == files[name]}
    # Of ink without a profile any decoder may make what it likes; here they agree or it is encoded again.
    assert kept - {"print"} == {"none", "upright", "opaque", "empty", "deep"}
    seen = trained_on(tmp_path / "records")
    np.testing.assert_array_equal(seen["half"], np.round(photo * (128 / 255)).astype(np.uint8))
    np.testing.assert_array_equal(seen["empty"], photo)
    np.testing.assert_array_equal(seen["deep"], np.repeat((photo[:, :, :1].astype(int) * 257 + 200) >> 8, 3, axis=2))
    for name, data in files.items():
        assert_same(seen[name], read_photo(data), name == "sideways" or name == "print")


@pytest.mark.parametrize("kind, ending", [("BMP", "bmp"), ("WEBP", "webp"), ("TIFF", "tif"), ("AVIF", "avif")])
def test_photos_of_every_kind_become_records(tmp_path, photo, kind, ending):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {kind}")
    (tmp_path / "photos" / "Anna").mkdir(parents=True)
    (tmp_path / "photos" / "Anna" / f"a.{ending}").write_bytes(file_of(photo, kind))
    from_photos.write_folder(tmp_path / "photos", tmp_path / "records", progress=False)
    assert_same(trained_on(tmp_path / "records")["Anna"], photo, lossy=kind in ("WEBP", "AVIF"))


def test_a_bitmap_whose_alpha_is_empty_has_its_colours(photo):
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + 108)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header += struct.pack("<IiiHHIIiiII", 108, SIDE, -SIDE, 1, 32, 3, 0, 0, 0, 0, 0) + masks + bytes(52)
    data = header + np.dstack([photo[:, :, ::-1], np.zeros((SIDE, SIDE), np.uint8)]).tobytes()
    np.testing.assert_array_equal(read_photo(data), photo)


def test_the_training_decoder_and_pillow_agree_on_what_is_plain(photo):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    palette = Image.fromarray(noise).quantize(16)
    two = Image.fromarray(noise[:, :, 0]).convert("1")
    deep = Image.fromarray(np.random.default_rng(1).integers(0, 65536, (SIDE, SIDE), np.uint16))
    flat = np.full((512, 512, 3), 128, np.uint8)  # as few bits as there can be
    for data in [
        *(file_of(flat, "JPEG", quality=1, optimize=True, progressive=progressive) for progressive in (False, True)),
        *(file_of(flat[..., 0], "JPEG", quality=1, optimize=True, progressive=progressive) for progressive in (0, 1)),
        *(file_of(noise, "JPEG", subsampling=sampling) for sampling in (0, 1, 2)),
        file_of(noise, "JPEG", progressive=True),
        file_of(noise[:, :, 0], "JPEG"),
        file_of(noise, "JPEG", 1),
        *(file_of(image, "PNG") for image in (noise, noise[:, :, 0], palette, two, deep)),
    ]:
        assert headers.is_plain(data)
        assert pixels.for_records(data) is data
        np.testing.assert_array_equal(images.decode(data).numpy(), read_photo(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_header_says_the_orientation(photo, orientation):
    for kind in ("JPEG", "PNG"):
        assert headers.orientation(file_of(photo, kind, orientation)) == orientation
        assert headers.is_plain(file_of(photo, kind, orientation)) == (orientation == 1)
    big = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)
    assert headers.orientation(file_of(photo, "JPEG", exif=big)) == orientation


def test_damaged_metadata_is_a_doubt_and_not_an_orientation(photo):
    data = file_of(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert headers.orientation(data) == 1
    assert not headers.is_plain(data)
    assert pixels.for_records(data) is data


def test_a_size_that_the_bytes_cannot_fill_is_no_whole_photo(photo):
    data = bytearray(file_of(photo, "JPEG"))
    frame = data.index(b"\xff\xc0")
    assert headers.whole_size(bytes(data)) == (SIDE, SIDE)
    data[frame + 5 : frame + 9] = struct.pack(">HH", 8000, 8000)
    assert headers.whole_size(bytes(data)) is None
    for read in (read_photo, pixels.pixels_of):
        with pytest.raises(PhotoError, match=r"^damaged or cut off$"):  # decoders would fill it with grey
            read(bytes(data))


def huge_png(side: int) -> bytes:
    """A PNG of one bit a pixel, whole, of a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def small_limit():
    limit.set_max_pixels(100 * 100)
    yield
    limit.set_max_pixels(limit.MAX_PIXELS)


def test_the_limit_holds_in_every_reader(tmp_path, photo, small_limit):
    large = {"png": huge_png(101), "jpg": file_of(np.zeros((101, 101, 3), np.uint8), "JPEG")}
    reason = "more than 10,000 pixels"
    source = as_people(tmp_path / "photos", {"good": file_of(photo, "PNG"), **large})
    summary = from_photos.write_folder(source, tmp_path / "records", progress=False)
    assert {name: why for name, why in summary.skipped if "/" in name} == {
        "png/png.png": reason,
        "jpg/jpg.jpg": reason,
    }
    for data in large.values():
        for read in (read_photo, pixels.pixels_of, pixels.for_records):
            with pytest.raises(PhotoError, match=f"^{reason}$"):
                read(data)
        assert facts.decode_all([data], (101, 101))[0][0] == facts.TOO_LARGE
        with pytest.raises(ValueError, match=f"packed photo 0: {reason}"):
            embed(Pixels(), [data])
    with pytest.raises(ValueError, match=rf"png.png: {reason}"):
        embed(Pixels(), [source / "good" / "good.png", source / "png" / "png.png"])
    sets = [writing.FaceSet([large["png"]], 0, "a")]
    writing.write_records(tmp_path / "old", sets, identities=["A"], image_size=(101, 101), source="a test")
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        trained_on(tmp_path / "old", (101, 101))
    limit.set_max_pixels(101 * 101)
    assert read_photo(large["png"]).shape == (101, 101, 3)
    assert not trained_on(tmp_path / "old", (101, 101))["a"].any()


def jpegs(photo):
    """JPEG files as several programs write them: the size stands elsewhere in each."""
    exif = Image.Exif()
    exif[271] = "a camera"
    return {
        "as most write them": file_of(photo, "JPEG"),
        "grey": file_of(Image.fromarray(photo).convert("L"), "JPEG"),
        "progressive": file_of(photo, "JPEG", progressive=True),
        "with a comment": file_of(photo, "JPEG", comment=b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03" * 20),
        "with EXIF": file_of(photo, "JPEG", exif=exif),
        "coded arithmetically": file_of(photo, "JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1),
    }


@pytest.mark.parametrize("usual", [(), [(100, 100), (101, 100), (48, 64)]])
def test_the_size_of_every_kind_of_header_is_known_before_decoding(small_limit, usual):
    small = {**jpegs(np.zeros((100, 100, 3), np.uint8)), "png": huge_png(100)}
    large = {**jpegs(np.zeros((101, 100, 3), np.uint8)), "png": huge_png(101)}
    asked = tf.function(
        lambda some: images.has_too_large(some, usual), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    assert not asked(list(small.values()))
    assert not asked([small["as most write them"], small["png"]] * 2)
    for name, data in large.items():
        assert asked([*small.values(), data]), name
    assert asked([struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 2**31 - 1, 2**31 - 1)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        asked([b"GIF89a" + bytes(200)])


def test_the_limit_holds_for_what_is_put_on_masks(tmp_path, small_limit):
    Image.new("RGBA", (101, 100), "white").save(tmp_path / "large.png")
    with pytest.raises(ValueError, match=r"large.png: .* more than 10,000 pixels$"):
        read_mask_picture(tmp_path / "large.png")
    with pytest.raises(ValueError, match=r"large.png: .* a file that is more than 10,000 pixels$"):
        Wardrobe(patterns=[str(tmp_path / "large.png")])


def test_the_default_limit_refuses_what_would_be_gigabytes():
    with pytest.raises(PhotoError, match=r"^more than 89,478,485 pixels$"):
        pixels.pixels_of(huge_png(9_500))
    with pytest.raises(ValueError, match="max_pixels must be >= 1, got 0"):
        limit.set_max_pixels(0)


def test_sideways_photos_in_older_records_are_named_and_clean_turns_them(tmp_path, photo):
    sideways = file_of(stored(photo, 6), "PNG", 6)
    wide = file_of(stored(photo[:40], 6), "PNG", 6)
    sets = [
        writing.FaceSet([file_of(photo, "PNG")], 0, "A/0.png"),
        writing.FaceSet([sideways], 1, "B/0.png"),
    ]
    writing.write_records(tmp_path / "old", sets, identities=["A", "B"], image_size=(SIDE, SIDE), source="a test")
    (tmp_path / "report").mkdir()
    report = doctor.inspect([sources.RecordPhotos(tmp_path / "old")], tmp_path / "report", detected_photos=0)
    (finding,) = [finding for finding in report.findings if finding.kind == "sideways"]
    assert (finding.severity, [entry.name for entry in finding.entries]) == ("warning", ["B/0.png"])
    assert finding.entries[0].finding == "sideways or mirrored: EXIF orientation 6"
    assert finding.mend.startswith(f"python -m tfrecords_tools.clean --records {tmp_path / 'old'} --list")
    rewriting.rewrite(tmp_path / "old", finding.entries, tmp_path / "new", progress=False)
    for image in trained_on(tmp_path / "new").values():
        np.testing.assert_array_equal(image, photo)
    # One that would have another size upright is suggested to be dropped.
    sets = [writing.FaceSet([file_of(np.rot90(photo[:40], 1), "PNG")], 0, "A/0.png"), writing.FaceSet([wide], 1, "B")]
    writing.write_records(tmp_path / "wide", sets, identities=["A", "B"], image_size=(SIDE, 40), source="a test")
    (tmp_path / "second").mkdir()
    report = doctor.inspect([sources.RecordPhotos(tmp_path / "wide")], tmp_path / "second", detected_photos=0)
    kinds = {found.kind: found.entries[0].suggestion for found in report.findings if found.entries}
    assert kinds["sideways"] == "drop"
    assert "size" not in kinds


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_the_way_up_that_it_is_to_be_seen(photo, orientation):
    pytest.importorskip("pillow_heif", reason="HEIC is tried where pillow-heif is installed").register_heif_opener()
    exif = Image.Exif()
    exif[274] = orientation  # pillow-heif makes the box of it by which a phone says it
    photo = photo[:40]
    data = file_of(stored(photo, orientation), "HEIF", quality=95, exif=exif.tobytes())
    assert (b"irot" in data) == (orientation != 1)
    for seen in (read_photo(data), images.decode(pixels.for_records(data)).numpy()):
        assert_same(seen, photo, lossy=True)


def test_heic_without_its_reader_is_named_with_what_to_install(monkeypatch):
    from keras_face.photos import files

    monkeypatch.setattr(files, "_formats", lambda: ("JPEG", "PNG"))
    monkeypatch.setattr(files.features, "check", lambda name: False)
    for brand, need in (
        (b"heic", "HEIC, which needs pillow-heif: pip install"),
        (b"avif", "AVIF, which needs a newer"),
    ):
        with pytest.raises(PhotoError, match=f"^{need}"):
            read_photo(b"\0\0\0\x18ftyp" + brand + bytes(100))
