"""What all plots share: a figure without pyplot, so no global state and no display; names as they are; PNG bytes."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

GENUINE, IMPOSTOR = "tab:blue", "tab:red"
# Okabe and Ito's colours, told apart by colour-blind people too; the line styles tell them apart without any colour.
# Seven and four have no common divisor, so 28 curves differ.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
STYLES = ("-", "--", "-.", ":")

_LONGEST = 80  # characters of a name


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


def new_figure(title: str) -> tuple[Figure, Axes]:
    """Returns a figure of 960 x 660 pixels with one pair of axes and a title, which is no formula."""
    figure = Figure(figsize=(6, 4.125), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(drawable(title), fontsize=9, parse_math=False)
    return figure, axes


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def style(number: int) -> str:
    return STYLES[number % len(STYLES)]


def legend(axes: Axes, lines: Sequence, names: Sequence[str], *, below: bool = False) -> None:
    """Draws a legend with names as they are: matplotlib hides those that begin with `_` and sets `$` as formulas.

    Args:
        axes: What was drawn on.
        lines: What stands for each name.
        names: What is said.
        below: Beneath the axes, where it hides nothing; else where it hides least.
    """
    numbers = [str(number) for number in range(len(names))]
    if below:
        drawn = axes.figure.legend(lines, numbers, fontsize=8, loc="outside lower left")
    else:
        drawn = axes.legend(lines, numbers, fontsize=8)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(drawable(name))


def png(figure: Figure) -> bytes:
    """Returns the figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def drawable(text: str) -> str:
    """Returns the text with characters that the font lacks as a white question mark on black, and long lines cut."""
    font = get_font(findfont(FontProperties()))
    shown = "".join(letter if letter == "\n" or font.get_char_index(ord(letter)) else "\ufffd" for letter in text)
    lines = shown.split("\n")
    return "\n".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in lines)
