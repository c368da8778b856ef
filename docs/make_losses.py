"""Writes docs/losses.md and docs/losses.png from the register of the losses.

Run it as `python docs/make_losses.py`.
"""

import inspect
import math
import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from keras_face.losses import entries

DOCS = Path(__file__).parent
SHARED = ("num_identities", "num_sequences", "initializer", "ignored_label", "head")
GROUPS = (
    ("Margin softmax", entries.SOFTMAX_HEADS, "Heads of a softmax over the identities, with a target function."),
    ("Other heads", entries.OTHER_HEADS, "Heads whose margin, scale or problem is of another kind."),
    ("Terms", entries.TERMS, "They go beside a head, with a weight."),
    ("Teachers", entries.TEACHERS, "They are called with `teacher=` as well, what the teacher gave for the images."),
    (
        "Between examples",
        entries.BETWEEN_EXAMPLES,
        "They compare the embeddings of the global batch; no prototypes. Batches need several photos of a person: "
        "`[data] images_per_identity`.",
    ),
)
HEAD = """# The losses

Made by docs/make_losses.py from the register, `keras_face.losses.entries`; do not edit.

`keras_face.losses.get(name, **settings)` makes a layer, `layer(embeddings, labels, training=False)` -> one loss per
example. In a configuration a head is chosen by `[loss] head`. All else of a loss is in the section `[loss NAME]`: the
settings below, and a `weight`, which adds that loss to the head's. Of margin-centre-face, whose angular centre term
goes beside every head until the weight is 0: `[loss angular_centre] weight`, 0.3 unless the file says otherwise.

In the formulas: t the angle and c the cosine between an embedding x and its own prototype, t_j and c_j those with the
others, s the scale, m the margin; d a distance between embeddings, a, p and n anchor, positive and negative; [x]+ is
max(0, x). Angles are in radians. Heads also take `num_identities`, `num_sequences` (labels < 0: a uniform target, or as
the docstring says), `initializer` and `ignored_label`; margin softmax heads take `scaling`, `focal_gamma` and
`sub_centres`; margins of more than one gradient take `gradient` (`exact` or `detached`; `a_softmax` `caffe` too).

![Target functions](losses.png)

"""


def target_functions() -> dict[str, np.ndarray]:
    """Returns the values of every margin over 181 angles, by name, with the defaults of the register."""
    angles = np.radians(np.arange(181))
    curves = {}
    for name, entry in entries.SOFTMAX_HEADS.items():
        if entry.margin:
            curves[name] = entry.margin(**entry.margin_settings(entry.defaults)).curve(angles)
    return curves


def draw(path: Path) -> None:
    """Writes the picture of all target functions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves = target_functions()
    families = (
        ("Added to the angle or taken off the cosine", ("norm_softmax", "cosface", "arcface", "combined")),
        ("Multiplied angle", ("norm_softmax", "sphereface_r", "a_softmax")),
        ("Lines and curves", tuple(name for name in curves if re.match("lin|li_|sine|log|norm_s", name))),
    )
    figure, panels = plt.subplots(1, 3, figsize=(15, 5.2), constrained_layout=True)
    for panel, (title, names) in zip(panels, families, strict=True):
        for position, name in enumerate(names):
            style = {"color": "black", "linestyle": "--"} if name == "norm_softmax" else {"color": f"C{position}"}
            panel.plot(range(181), curves[name], label=name, **style)
        panel.set(title=title, xlabel="angle with the own prototype, degrees", xlim=(0, 180))
        panel.set_xticks(range(0, 181, 30))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=9)
    panels[0].set_ylabel("what takes the place of the cosine")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def defaults(entry: entries.Entry) -> str:
    """Returns the settings that are not shared by all, with their defaults."""
    shown = []
    for key, value in entry.parameters().items():
        common = ("scaling", "focal_gamma", "sub_centres", "gradient") if entry.margin else ()
        if key in SHARED or (key in common and key not in entry.defaults):
            continue
        text = f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)
        shown.append(f"{key} {text}" if value is not inspect.Parameter.empty else key)
    return ", ".join(shown) or "-"


def source(entry: entries.Entry) -> str:
    """Returns the source of an entry: its own, else the first of the margin's docstring, else of the layer's."""
    text = entry.source
    if not text:
        found = re.search(r"Reference: (.*?)(?:;|\Z)", inspect.getdoc(entry.margin or entry.layer) or "", re.DOTALL)
        text = " ".join(found.group(1).split()) if found else "-"
    link = re.search(r"https?://[^\s,;]+", text)
    if not link:
        return text
    return f"[{text[: link.start()].rstrip(' ,')}]({link.group(0)}){text[link.end() :]}"


def text() -> str:
    """Returns docs/losses.md."""
    parts = [HEAD]
    for title, group, purpose in GROUPS:
        parts.append(
            f"## {title}\n\n{purpose}\n\n| name | formula | defaults | source | when to use |\n|---|---|---|---|---|\n"
        )
        for name, entry in group.items():
            formula = entry.formula.replace("|", "\\|")
            parts.append(f"| `{name}` | {formula} | {defaults(entry)} | {source(entry)} | {entry.use} |\n")
        parts.append("\n")
    parts.append(
        "## Huya's two principles\n\nOver [0, pi]: does the target fall strictly with the angle, and is it never above "
        "the cosine? Gaps are cosine - target.\n\n"
        "| name | decreasing | never above the cosine | smallest gap | largest gap | share above |\n"
        "|---|---|---|---|---|---|\n"
    )
    for name, entry in entries.SOFTMAX_HEADS.items():
        if entry.margin:
            found = entry.margin(**entry.margin_settings(entry.defaults)).principles()
            answers = " | ".join("yes" if answer else "**no**" for answer in found[:2])
            gaps = f"{found.smallest_gap:.4f} | {found.largest_gap:.4f} | {found.share_above:.3f}"
            parts.append(f"| `{name}` | {answers} | {gaps} |\n")
    return "".join(parts)


if __name__ == "__main__":
    (DOCS / "losses.md").write_text(text(), encoding="utf-8")
    draw(DOCS / "losses.png")
