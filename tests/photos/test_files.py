"""Photo files: every kind is read as it is to be seen, and what is none is refused in one line."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_face.photos.files import PhotoError, photo_size, read_photo

# Damaged files make Pillow warn of their metadata before it gives up.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


@pytest.fixture
def photo() -> np.ndarray:
    """Smooth, so that lossy formats stay near it; 24 x 40, another colour in each corner."""
    down, right = np.mgrid[0:24, 0:40]
    return np.stack([right * 6, down * 10, 255 - right * 3 - down * 5], axis=2).clip(0, 255).astype(np.uint8)


def save(path, image: np.ndarray | Image.Image, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tif", "a.webp", "a b [1]\n名.png", "no_extension"])
def test_lossless_formats_are_read_exactly(tmp_path, photo, name):
    path = save(tmp_path / name, photo, format={"a.webp": "WEBP", "no_extension": "PNG"}.get(name), lossless=True)
    np.testing.assert_array_equal(read_photo(path), photo)
    assert photo_size(path) == (24, 40)


@pytest.mark.parametrize("name", ["a.jpg", "a.jp2"])
def test_lossy_formats_are_read_nearly(tmp_path, photo, name):
    path = save(tmp_path / name, photo)
    assert np.abs(read_photo(path).astype(int) - photo).mean() < 3


def test_grey_becomes_three_equal_channels(tmp_path, photo):
    for name in ("a.png", "a.pgm", "a.bmp"):
        path = save(tmp_path / name, photo[:, :, 0])
        np.testing.assert_array_equal(read_photo(path), photo[:, :, [0, 0, 0]])


def test_two_colours_are_black_and_white(tmp_path):
    path = save(tmp_path / "a.pbm", Image.fromarray(np.array([[0, 255, 0, 255]], np.uint8)).convert("1"))
    np.testing.assert_array_equal(read_photo(path)[0, :, 0], [0, 255, 0, 255])


def test_a_palette_gives_its_colours(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colours = np.array([[255, 0, 0], [0, 200, 0], [7, 8, 9]], np.uint8)
    image = Image.frombytes("P", (2, 2), indices.tobytes())
    image.putpalette(colours.tobytes())
    for name in ("a.png", "a.gif"):
        np.testing.assert_array_equal(read_photo(save(tmp_path / name, image)), colours[indices])


def test_transparency_is_laid_over_black(tmp_path):
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    found = read_photo(save(tmp_path / "a.png", pixels))
    np.testing.assert_allclose(found[0], np.round(pixels[0, :, :3] * (pixels[0, :, 3:] / 255)), atol=1)
    grey = read_photo(save(tmp_path / "la.png", Image.fromarray(pixels[:, :, [0, 3]])))
    np.testing.assert_allclose(grey[0, :, 0], [200, 0, 100], atol=1)


def test_a_transparent_palette_is_laid_over_black(tmp_path):
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette(bytes([255, 255, 255, 9, 8, 7]))
    found = read_photo(save(tmp_path / "a.png", image, transparency=0))
    np.testing.assert_array_equal(found[0], [[0, 0, 0], [9, 8, 7]])


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = np.array([[0, 257, 25700, 32768, 65535]], np.uint16)
    wanted = [0, 1, 100, 128, 255]
    np.testing.assert_array_equal(read_photo(save(tmp_path / "a.png", deep))[0, :, 1], wanted)
    (tmp_path / "a.pgm").write_bytes(b"P5\n5 1\n65535\n" + deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_photo(tmp_path / "a.pgm")[0, :, 2], wanted)
    np.testing.assert_array_equal(read_photo(save(tmp_path / "a.tif", deep))[0, :, 0], wanted)


def test_pgm_of_twelve_bits_is_scaled_by_its_own_maximum(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5\n3 1\n4095\n" + np.array([0, 2048, 4095], ">u2").tobytes())
    np.testing.assert_array_equal(read_photo(tmp_path / "a.pgm")[0, :, 0], [0, 128, 255])


def test_sixteen_bit_colours_are_scaled(tmp_path):
    deep = np.array([[[0, 0x8000, 0xFFFF]]], ">u2")
    data = b"\0" + deep.tobytes()  # filter byte, one row
    (tmp_path / "a.png").write_bytes(png_file(1, 1, 16, 2, zlib.compress(data)))
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png")[0, 0], [0, 128, 255])


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_more_than_sixteen_bits_are_refused(tmp_path, mode):
    path = save(tmp_path / "a.tif", Image.new(mode, (3, 2)))
    with pytest.raises(PhotoError, match=r"^pixels of more than 16 bits$"):
        read_photo(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, photo, orientation):
    # What the camera stored is the photo turned; the tag says how to turn it back (EXIF 2.3, tag 274).
    stored = {
        1: photo,
        2: photo[:, ::-1],
        3: photo[::-1, ::-1],
        4: photo[::-1],
        5: photo.transpose(1, 0, 2),
        6: np.rot90(photo, 1),
        7: photo[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(photo, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_array_equal(read_photo(path), photo)


def test_a_photo_with_damaged_exif_is_read(tmp_path, photo):
    path = save(tmp_path / "a.jpg", photo, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_photo(path).shape == (24, 40, 3)


def test_cmyk_is_not_inverted(tmp_path):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # cyan alone: no red
    path = save(tmp_path / "a.jpg", Image.frombytes("CMYK", (16, 16), ink.tobytes()), quality=95)
    assert b"Adobe" in path.read_bytes()[:200]  # whose files hold 255 - ink
    np.testing.assert_allclose(read_photo(path).mean(axis=(0, 1)), [0, 255, 255], atol=3)
    tiff = save(tmp_path / "a.tif", Image.frombytes("CMYK", (16, 16), ink.tobytes()))
    np.testing.assert_allclose(read_photo(tiff).mean(axis=(0, 1)), [0, 255, 255], atol=3)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.mpo"])
def test_the_first_frame_is_the_photo(tmp_path, name):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(read_photo(tmp_path / name).mean(axis=(0, 1)), [255, 0, 0], atol=4)


def png_file(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    """A PNG of given header and data, as the specification has it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 50_000])
def test_a_bomb_is_refused_by_its_header(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_file(side, side, 8, 2, zlib.compress(b"\0")))
    for read in (read_photo, photo_size):
        with pytest.raises(PhotoError, match=r"^more than 89,478,485 pixels$"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, kind):
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    Image.fromarray(noise).save(data, kind)
    for tenth in range(1, 10):
        path = tmp_path / f"cut{tenth}"
        path.write_bytes(data.getvalue()[: data.tell() * tenth // 10])
        with pytest.raises(PhotoError, match=r"^(damaged or cut off|neither JPEG.*)$"):
            read_photo(path)
    path.write_bytes(data.getvalue())
    assert read_photo(path).shape == (32, 48, 3)


def test_damaged_bytes_never_raise_another_error(tmp_path, photo):
    random = np.random.default_rng(1)
    path = tmp_path / "a"
    reasons = set()
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"):
        whole = io.BytesIO()
        Image.fromarray(photo).save(whole, kind)
        for _ in range(40):
            data = np.frombuffer(whole.getvalue(), np.uint8).copy()
            data[random.integers(0, min(len(data), 300), 4)] = random.integers(0, 256, 4)
            path.write_bytes(data.tobytes())
            try:
                assert read_photo(path).dtype == np.uint8
            except PhotoError as error:
                reasons.add(str(error))
    assert "damaged or cut off" in reasons
    assert all("\n" not in reason for reason in reasons)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "an empty file"),
        (
            b"a text\n" * 100,
            "neither JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, JPEG 2000, AVIF nor HEIC, or cut off at once",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "neither JPEG, .*"),
        (np.random.default_rng(2).bytes(1000), "neither JPEG, .*"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path, data, reason):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(PhotoError, match=f"^{reason}$"):
        read_photo(tmp_path / "a.jpg")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in [
        ("pipe", "not a file"),
        (".", "not a file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("absent", "cannot be read: No such file or directory"),
    ]:
        with pytest.raises(PhotoError, match=f"^{reason}$"):
            read_photo(tmp_path / name)
