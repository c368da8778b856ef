"""Contact sheets for a person to look at: pictures become cells, cells and texts a grid, and the grid a PNG.

Every picture is uint8 RGB [height, width, 3], what goes in and what comes back.
"""

import functools
import os
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_face import files
from keras_face.photos.encoding import png

GAP = 4  # pixels between pictures
LINE = 18  # pixels, height of a line of text
_BACKGROUND, _INK = 32, 220  # grey levels
_FONT_SIZE, _INDENT = 11, 3  # pixels


def evenly(count: int, most: int) -> list[int]:
    """Returns at most this many evenly spaced numbers below `count`, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """Returns a picture in the middle of a black square, enlarged or shrunk until its longer side is the square's."""
    scale = side / max(picture.shape[:2])
    height, width = (max(1, round(pixels * scale)) for pixels in picture.shape[:2])
    cell = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    cell[top : top + height, left : left + width] = cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    return cell


def written(lines: Sequence[str], width: int, height: int | None = None) -> np.ndarray:
    """Returns lines of text as a picture; one that is too long lacks its middle.

    Args:
        lines: Of any characters; the font may lack some.
        width: Of the picture, pixels.
        height: Likewise; None: that of the lines, `LINE` each.
    """
    picture = Image.new("RGB", (width, LINE * len(lines) if height is None else height), (_BACKGROUND,) * 3)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((_INDENT, LINE * number + 2), _shortened(line, width - 2 * _INDENT), (_INK,) * 3, _font())
    return np.array(picture)


def grid(pictures: Sequence[np.ndarray] | np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Returns pictures in rows, with a gap around each.

    Args:
        pictures: At least one; all have the same size.
        columns: Pictures in a row. The last row may lack some; a single row may too, so that sheets match in width.
        gap: Pixels.
    """
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    shape = rows * (height + gap) + gap, columns * (width + gap) + gap, 3
    sheet = np.full(shape, _BACKGROUND, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + gap) + gap, place % columns * (width + gap) + gap
        sheet[top : top + height, left : left + width] = picture
    return sheet


def write(path: str | os.PathLike, sheet: np.ndarray) -> None:
    """Writes a sheet as a PNG, whole or not at all; see `files.whole_file`."""
    files.write_bytes(path, png(sheet))


def _shortened(text: str, room: int) -> str:
    """Returns the text on one line, without its middle where it is too long: names differ at both ends."""
    text = shown = " ".join(text.encode(errors="replace").decode().split())
    kept = len(text)
    while kept > 1 and _font().getlength(shown) > room:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """Returns matplotlib's font: Pillow's own knows ASCII only, and people are called Å, Ж and Ω too."""
    import matplotlib

    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _FONT_SIZE)
