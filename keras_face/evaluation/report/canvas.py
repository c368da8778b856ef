"""What all plots share: a figure without pyplot, so no global state and no display; names as they are; PNG bytes."""

import io
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

GENUINE, IMPOSTOR = "tab:blue", "tab:red"
# Okabe and Ito's colours, told apart by colour-blind people too; the line styles tell them apart without any colour.
# Seven and four have no common divisor, so 28 curves differ.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
STYLES = ("-", "--", "-.", ":")

_LONGEST = 80  # characters of a name
_FONT = 9  # points
_HANDLE, _ROW = 0.6, 0.18  # inches: of a legend's line with its gaps, of a row


class Scores(NamedTuple):
    """Similarities of a model on a protocol, as a plot names and draws them.

    Attributes:
        name: Label of the curve.
        similarity: float [n], higher is more alike.
        genuine: bool [n].
    """

    name: str
    similarity: np.ndarray
    genuine: np.ndarray


def new_figure(title: str, *, small: bool = False) -> tuple[Figure, Axes]:
    """Returns a figure with one pair of axes and a title, which is no formula.

    It has 960 x 660 pixels, or 640 x 400 where it is small, and grows downwards by a legend of several lines.
    """
    figure = Figure(figsize=(4, 2.5) if small else (6, 4.125), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(drawable(title), fontsize=9, parse_math=False)
    return figure, axes


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def style(number: int) -> str:
    return STYLES[number % len(STYLES)]


def legend(axes: Axes, lines: Sequence, names: Sequence[str]) -> None:
    """Draws a legend beneath the axes, where it hides nothing; the figure grows by it, and long names are broken.

    Names are drawn as they are: matplotlib hides those that begin with `_` and sets `$` as formulas.

    Args:
        axes: What was drawn on.
        lines: What stands for each name.
        names: What is said.
    """
    figure = axes.figure.figure
    width, height = figure.get_size_inches()
    broken = [_broken(drawable(name), width - _HANDLE) for name in names]
    longest = max((_width(line) for name in broken for line in name.split("\n")), default=0)
    columns = max(1, min(len(names), int(width / (_HANDLE + longest))))
    numbers = [str(number) for number in range(len(names))]
    drawn = figure.legend(lines, numbers, fontsize=_FONT, loc="outside lower left", ncols=columns, frameon=False)
    for text, name in zip(drawn.get_texts(), broken, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
    # matplotlib fills column by column: rows of the longest column, and their lines.
    rows = -(-sum(name.count("\n") + 1 for name in broken) // columns)
    figure.set_size_inches(width, height + rows * _ROW)


def _broken(text: str, width: float) -> str:
    """Returns the text with no line wider than that, inches, broken at spaces where it can be."""
    broken = []
    for line in text.split("\n"):
        parts, letters = [line], len(line)
        while letters > 1 and max(map(_width, parts)) > width:
            letters = letters * 9 // 10
            parts = textwrap.wrap(line, letters) or [""]
        broken += parts
    return "\n".join(broken)


def _width(text: str) -> float:
    """Returns how wide a line of a legend is, inches."""
    font = get_font(findfont(FontProperties()))
    font.set_size(_FONT, 72)
    font.set_text(text)
    return font.get_width_height()[0] / 64 / 72


def png(figure: Figure) -> bytes:
    """Returns the figure as a PNG file, of 64 colours: a third of the bytes, and no difference that can be seen."""
    file, small = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png")
    with Image.open(file) as image:
        image.convert("RGB").quantize(64).save(small, format="png", optimize=True)
    return small.getvalue()


def drawable(text: str) -> str:
    """Returns the text with characters that the font lacks as a white question mark on black, and long lines cut."""
    font = get_font(findfont(FontProperties()))
    shown = "".join(letter if letter == "\n" or font.get_char_index(ord(letter)) else "\ufffd" for letter in text)
    lines = shown.split("\n")
    return "\n".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in lines)
