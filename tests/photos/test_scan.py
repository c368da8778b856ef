"""Damage inside the scan of a JPEG: found where the data cannot be read to the end, and nowhere else."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_face.photos.checked import photo_size
from keras_face.photos.scan import scan_damage

PIXELS = np.random.default_rng(3).integers(0, 256, (48, 40, 3), np.uint8)
END = b"\xff\xd9"


def jpeg(mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def scan_start(data):
    start = data.rindex(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


@pytest.mark.parametrize("cut", np.linspace(0.02, 0.98, 13))
@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"mode": "CMYK"}, {"restart_marker_rows": 1}])
def test_a_scan_that_was_cut_is_found_behind_an_end_marker(cut, options):
    data = jpeg(**options)
    start = scan_start(data)
    patched = data[: start + int(cut * (len(data) - start - 2))].rstrip(b"\xff") + END
    assert "Corrupt JPEG data" in scan_damage(patched)
    assert photo_size(patched) == (48, 40)  # what its structure alone shows
    assert photo_size(patched, decode=True).startswith("damaged: Corrupt JPEG data")


def test_data_that_cannot_be_read_on_is_found():
    data = jpeg(quality=90)
    middle = (scan_start(data) + len(data)) // 2
    assert scan_damage(data[:middle] + bytes(200) + data[middle + 200 :])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "L"},
        {"mode": "CMYK"},
        {"progressive": True},
        {"restart_marker_rows": 1},
        {"subsampling": 0, "quality": 100},
    ],
)
def test_whole_photos_have_no_damage(options):
    data = jpeg(**options)
    assert scan_damage(data) is None
    assert scan_damage(data + bytes(9)) is None  # what stands behind the end is none of the picture's
    assert photo_size(data, decode=True) == (48, 40)


def test_other_formats_are_left_to_their_decoders():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    assert scan_damage(file.getvalue()) is None
