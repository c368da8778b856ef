"""Contact sheets: where the pictures are, what is between them, and that texts have room."""

import numpy as np
import pytest
from PIL import Image

from keras_face.photos import sheet


def flat(height: int, width: int, *colour: int) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize("gap", [0, 3])
def test_a_grid_has_every_picture_in_its_place_and_one_colour_elsewhere(gap):
    pictures = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), np.uint8)
    made = sheet.grid(pictures, columns=3, gap=gap)
    assert made.shape == (3 * 5 + 4 * gap, 3 * 4 + 4 * gap, 3)
    covered = np.zeros(made.shape[:2], bool)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, 3)
        place = (
            slice(gap + row * (5 + gap), (row + 1) * (5 + gap)),
            slice(gap + column * (4 + gap), (column + 1) * (4 + gap)),
        )
        np.testing.assert_array_equal(made[place], picture)
        covered[place] = True
    assert covered.sum() == 7 * 5 * 4
    assert len(np.unique(made[~covered], axis=0)) == 1


@pytest.mark.parametrize("shape", [(20, 10), (10, 20), (100, 50), (16, 16), (1, 300)])
def test_a_fitted_picture_fills_its_cell_on_the_longer_side_and_is_in_the_middle(shape):
    cell = sheet.fitted(flat(*shape, 200, 100, 50), 40)
    assert cell.shape == (40, 40, 3)
    shown = (cell == (200, 100, 50)).all(axis=2)
    assert (cell[~shown] == 0).all()
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    height, width = shape
    assert len(rows) == max(1, 40 * height // max(shape))
    assert len(columns) == max(1, 40 * width // max(shape))
    assert shown.sum() == len(rows) * len(columns)  # a full rectangle
    for places in rows, columns:
        assert abs(places[0] - (39 - places[-1])) <= 1


def test_text_has_a_margin_on_each_side_however_long_it_is():
    background = sheet.written([""], 200)
    assert background.shape == (18, 200, 3)
    assert len(np.unique(background)) == 1
    for text in ("a", "a/long/name " * 40, "l" * 4000, "\udcff\udcfe", "two\nlines"):
        inked = np.argwhere((sheet.written([text], 200) != background).any(axis=2))
        assert len(inked) > 5
        assert inked.min(axis=0).min() >= 1
        assert inked.max(axis=0)[0] < 17
        assert inked.max(axis=0)[1] < 199


def test_a_text_that_is_too_long_keeps_both_ends():
    start, end = "Anna Karenina/" + "x" * 90, "x" * 90 + "/0012.jpg"
    whole, ends = sheet.written([start], 1500), sheet.written([start + end], 300)
    np.testing.assert_array_equal(ends[:, :80], whole[:, :80])
    alone = np.argwhere((sheet.written([end], 1500) != whole[0, 0]).any(axis=2))[:, 1].max() + 1
    right = np.argwhere((ends != whole[0, 0]).any(axis=2))[:, 1].max() + 1
    np.testing.assert_array_equal(ends[:, right - 45 : right], sheet.written([end], 1500)[:, alone - 45 : alone])


def test_letters_beyond_ascii_are_different_letters():
    assert len({sheet.written([letter], 20).tobytes() for letter in "AÅÖČŁЖΩ"}) == 7


def test_lines_are_below_each_other_and_the_rest_is_empty():
    made = sheet.written(["first", "second"], 100, height=60)
    np.testing.assert_array_equal(made[:18], sheet.written(["first"], 100))
    np.testing.assert_array_equal(made[18:36], sheet.written(["second"], 100))
    np.testing.assert_array_equal(made[36:], sheet.written([], 100, height=24))


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (1, 4, [0]), (5, 1, [0])]
)
def test_a_choice_is_even_and_has_both_ends(count, most, expected):
    assert sheet.evenly(count, most) == expected


def test_a_sheet_is_a_png_of_its_pixels_or_nothing(tmp_path, monkeypatch):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)
    sheet.write(tmp_path / "new" / "a.png", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), pixels)
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        sheet.write(tmp_path / "new" / "a.png", flat(6, 9, 0, 0, 0))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), pixels)
