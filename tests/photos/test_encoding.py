import cv2
import numpy as np
import pytest

from keras_face.photos import encoding
from keras_face.photos.luminance import LUMINANCE
from keras_face.synthetic.writing import conditions, draw, person

PHOTO = draw(person(0, 0), conditions(0, 0, 0))


def read(file: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_luminance_is_that_of_opencv():
    # Three grey levels of 255 are as near as rounding tells; two wrong weights would be further away.
    pure = 255 * np.eye(3, dtype=np.uint8)[np.newaxis]
    np.testing.assert_array_equal(cv2.cvtColor(pure, cv2.COLOR_RGB2GRAY)[0], np.round(255 * np.array(LUMINANCE)))
    grey = cv2.cvtColor(PHOTO.astype(np.float32), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(PHOTO @ np.array(LUMINANCE), grey, rtol=0, atol=1e-3)


def test_a_png_keeps_every_pixel():
    np.testing.assert_array_equal(read(encoding.png(PHOTO)), PHOTO)


def test_a_jpeg_is_nearer_and_larger_with_quality_and_with_full_colours():
    files = [encoding.jpeg(PHOTO, quality, full) for quality, full in ((60, False), (95, False), (95, True))]
    errors = [np.abs(read(file) - PHOTO.astype(float)).mean() for file in files]
    assert errors == sorted(errors, reverse=True)
    assert list(map(len, files)) == sorted(map(len, files))
    assert errors[-1] < 3


@pytest.mark.parametrize(("full", "sampling"), [(False, 0x22), (True, 0x11)])
def test_the_sampling_of_colours_stands_in_the_file(full, sampling):
    file = encoding.jpeg(PHOTO, full_colours=full)
    frame = file.index(b"\xff\xc0")  # marker, length, precision, height, width, number of components, then these
    assert file[frame + 11] == sampling


def test_other_encodings_are_refused():
    with pytest.raises(ValueError, match="encoding must be one of jpg, png, got 'webp'"):
        encoding.encoded(PHOTO, "webp")
