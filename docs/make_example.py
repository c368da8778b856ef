"""Writes config.ini.example: every key with its comment and its default, and datasets and test sets for an example.

Run it as `python docs/make_example.py`.
"""

import dataclasses
import inspect
import os
import re
import textwrap
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_face import config
from keras_face.losses import entries

PATH = Path(__file__).parent.with_name("config.ini.example")
HEAD = """\
# Copy to config.ini and change what differs. A key that is left out keeps its default; an unknown one is an error.
# ${NAME} and ${NAME:-default} are replaced from the environment. Every key can be given as --set section.key=value.
# Outside [data] train, the test sets [lfw] and [ytf] and the datasets at the end, which have the names and keys of
# margin-centre-face, all values are the defaults; recipes/margin_centre_face.ini has that system's own.
# How long to train is for you to say: [training] steps or epochs.
# Made by docs/make_example.py from the sections; do not edit.
"""
EXAMPLES: dict[str, dict[str, Any]] = {
    "data": {"train": ("vgg", "ms1m")},
    "lfw": {"enable": True, "npdata": "./dataset/faces_ms1m_112x112/lfw.np"},
    "ytf": {
        "enable": True,
        "prefix": "./dataset/YouTubeFaces/112x112",
        "splits": "./dataset/YouTubeFaces/splits_corrected.txt",
        "ytf_error": "./dataset/ytf-error.txt",
    },
}
OF_LOSSES = """\
# All else of a loss is in a section of its name; docs/losses.md lists the losses and their settings. The section of the
# head holds its settings; that of another loss, with a weight, adds it to the head's.
"""
LOSSES = ("arcface", "angular_centre", "batch_hard_triplet")
OF_DATASETS = """\
# Training datasets: one section each, with a name of your own; [data] train names those that are used.
"""
DATASETS: dict[str, dict[str, Any]] = {
    "vgg": {"records": "./dataset/faces_vgg_112x112"},
    "ms1m": {"records": "./dataset/faces_ms1m_112x112", "mxrec": ""},
    "WebFace": {
        "records": "./dataset/webface_records",
        "train_list": "./dataset/webface.txt",
        "prefix": "./dataset/webface",
    },
}


def keys_of(kind: type, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the values of a section's keys, defaults but for those given, and their comments."""
    fields = dataclasses.fields(kind)
    values = {field.name: given.get(field.name, field.default) for field in fields}
    return values, {field.name: field.metadata["comment"] for field in fields}


def keys_of_loss(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the settings of a loss with their defaults, and what the docstrings of its classes say of each."""
    values, comments = keys_of(config.NamedLossConfig, config.Config().losses.get(name, {}))
    if name == config.LossConfig().head:
        values = {}
    entry = entries.LOSSES[name]
    for documented in (entry.layer, entry.margin):
        comments |= arguments(documented) if documented else {}
    of_training = ("num_identities", "num_sequences", "initializer", "ignored_label", "head")
    defaults = {key: value for key, value in entry.parameters().items() if key not in of_training}
    return values | entry.margin_settings(defaults) | defaults, comments


def arguments(documented: type) -> dict[str, str]:
    """Returns what the docstring of a class says of its arguments, each in lines of a comment."""
    (block,) = re.findall(r"^Args:\n((?: .*\n?)+)", inspect.getdoc(documented) or "", re.MULTILINE)
    found = re.findall(r"^(\w+): (.*(?:\n .*)*)", textwrap.dedent(block), re.MULTILINE)
    return {name: "\n# ".join(textwrap.wrap(" ".join(text.replace('"', "").split()), 118)) for name, text in found}


def text() -> str:
    """Returns config.ini.example."""
    parts = [HEAD]
    for name, kind in config.SECTIONS.items():
        parts += config.section_text(name, *keys_of(kind, EXAMPLES.get(name, {})))
        if name == "loss":
            parts.append(OF_LOSSES.rstrip())
            for loss in LOSSES:
                parts += config.section_text(f"loss {loss}", *keys_of_loss(loss))
    parts.append(OF_DATASETS.rstrip())
    for number, (name, given) in enumerate(DATASETS.items()):
        values, comments = keys_of(config.DatasetConfig, given)
        parts += config.section_text(name, given if number else values, {} if number else comments)
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
