"""The parts of a report's page: escaped text, tables, pictures inside the page, and the page around them."""

import base64
import html
import re
from collections.abc import Iterable, Sequence

from keras_face.files import printable

_SHORT = 20  # characters: an interval is shorter


class Html(str):
    """Text that is HTML already; any other is escaped before it gets into the page."""


def escape(text: object) -> Html:
    """Returns any text as HTML that shows it as it is, `files.printable` where it does not print."""
    return text if isinstance(text, Html) else Html(html.escape(printable(str(text))))


def lines(text: object) -> Html:
    """Returns text of several lines, as HTML."""
    return Html("<br>".join(escape(line) for line in str(text).split("\n")))


def paragraph(text: object, *, warning: bool = False) -> Html:
    kind = ' class="warning"' if warning else ""
    return Html(f"<p{kind}>{escape(text)}</p>\n")


def heading(level: int, text: object, anchor: str | None = None) -> Html:
    place = f' id="{anchor}"' if anchor else ""
    return Html(f"<h{level}{place}>{escape(text)}</h{level}>\n")


def section(anchor: str, title: object, parts: Iterable[Html]) -> Html:
    """Returns a section with its heading of the second level, which a link `#anchor` reaches."""
    return Html(f'<section aria-labelledby="{anchor}">\n{heading(2, title, anchor)}{"".join(parts)}</section>\n')


def details(summary: object, parts: Iterable[Html]) -> Html:
    """Returns parts that are folded away under a line."""
    return Html(f"<details><summary>{escape(summary)}</summary>\n{''.join(parts)}</details>\n")


def name(text: object) -> Html:
    """Returns a name that is broken into lines after `/` and `_` if it must be."""
    return Html(re.sub(r"([/_]+)", r"\1<wbr>", escape(text)))


def table(caption: object, head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Returns a table whose first column names its rows; a last cell that comes early spans the rest.

    It can be scrolled sideways, by keyboard too, where the window is narrow.
    """
    drawn_rows = []
    for first, *cells in rows:
        rest = len(head) - len(cells)
        drawn = [_cell("td", cell) for cell in cells[:-1]] + [
            _cell("td", cell, f' colspan="{rest}"' if rest > 1 else "") for cell in cells[-1:]
        ]
        drawn_rows.append("<tr>" + _cell("th", first, ' scope="row"') + "".join(drawn) + "</tr>\n")
    columns = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    return Html(
        f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0"><table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n{''.join(drawn_rows)}</tbody>\n"
        "</table></div>\n"
    )


def _cell(tag: str, content: object, more: str = "") -> str:
    # Figures stay on one line; names are broken.
    short = "" if isinstance(content, Html) or len(str(content)) > _SHORT else ' class="short"'
    return f"<{tag}{more}{short}>{escape(content)}</{tag}>"


def plot(content: bytes, alt: object, caption: object) -> Html:
    """Returns a figure with a PNG."""
    return Html(
        f'<figure class="plot"><img src="{data_uri(content, "png")}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def plots(figures: Iterable[Html], *, small: bool = False) -> Html:
    """Returns figures side by side, as many as there is room for."""
    return Html(f'<div class="plots{" small" if small else ""}">\n{"".join(figures)}</div>\n')


def data_uri(content: bytes, kind: str) -> Html:
    return Html(f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}")


def page(title: object, body: Iterable[Html]) -> str:
    """Returns the whole page. It forbids the browser to fetch or to run anything, whatever else is in it."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{"".join(body)}</main>
</body>
</html>
"""


_STYLE = """
:root { --text: #1b1b1b; --faint: #595959; --page: #ffffff; --line: #c8c8c8; --stripe: #f4f5f7; --warning: #fff3cd; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --faint: #a9a9a9; --page: #161616; --line: #4a4a4a; --stripe: #222326; --warning: #4a3b00; }
  .plot img { filter: invert(0.914) hue-rotate(180deg); }  /* white becomes the page, hues stay */
}
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; }
h1 { font-size: 1.8rem; }
h2 { margin-top: 2.5rem; padding-bottom: 0.3rem; border-bottom: 1px solid var(--line); font-size: 1.4rem; }
h3 { margin-top: 2rem; font-size: 1.1rem; }
p, li { max-width: 65rem; overflow-wrap: anywhere; }
a { color: inherit; }
.warning { padding: 0.5rem 0.8rem; border-left: 4px solid #b58900; background: var(--warning); }
.wide { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { padding: 0.3rem 0; color: var(--faint); text-align: left; overflow-wrap: anywhere; }
th, td { padding: 0.25rem 0.8rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td, tbody th { overflow-wrap: anywhere; }
.short, .interval { white-space: nowrap; }
.interval { color: var(--faint); font-size: 0.875rem; }
thead th { border-bottom-width: 2px; vertical-align: bottom; }
tbody th { font-weight: normal; }
tbody tr:nth-child(even) { background: var(--stripe); }
figure { margin: 0; }
figcaption { color: var(--faint); font-size: 0.875rem; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem; }
.small { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.plot img { width: 100%; height: auto; }
details { margin: 1rem 0; padding: 0.3rem 0.8rem; border: 1px solid var(--line); border-radius: 4px; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem; padding: 0; }
.pairs li { list-style: none; }
.pair { display: flex; gap: 0.3rem; margin-bottom: 0.3rem; }
.crop { width: 7rem; height: 7rem; border-radius: 4px; object-fit: contain; background: var(--stripe); }
.none { color: var(--faint); font-size: 0.875rem; text-align: center; line-height: 7rem; }
.photo { display: flex; gap: 0.6rem; align-items: center; }
.photo .crop { width: 3.5rem; height: 3.5rem; }
@media print {
  :root { --text: #000; --faint: #444; --page: #fff; --line: #999; --stripe: #fff; --warning: #fff; }
  .plot img { filter: none; }
  main { max-width: none; padding: 0; }
  .wide { overflow: visible; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, li { break-inside: avoid; }
}
"""
