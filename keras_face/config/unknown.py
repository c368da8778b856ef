"""What to say of a section or key that there is not: the nearest one, or what it is called now."""

import dataclasses

from keras_face.config.data import DatasetConfig
from keras_face.config.model import LossConfig
from keras_face.config.nearest import unknown
from keras_face.config.sections import SECTIONS

# Keys of [loss] in earlier versions, and what they are called now; {head} is the name of the head.
_OF_A_LOSS = {
    "margin": "[loss {head}] margin",
    "scale": "[loss {head}] scale",
    "centre_weight": "[loss angular_centre] weight",
    "triplet_weight": "[loss batch_hard_triplet] weight",
    "triplet_margin": "[loss batch_hard_triplet] margin",
}


def unknown_key(kind: type, section: str, key: str, text: str, head: str) -> str:
    """Returns what is wrong with a key that its section does not have.

    Args:
        kind: Class of the section; of one that is none of the known ones, `DatasetConfig`.
        section: Its name.
        key: The key.
        text: Its value.
        head: The value of `[loss] head`.
    """
    if kind is DatasetConfig:
        return f"{unknown('section', section, SECTIONS)}; a dataset's section has no key {key}"
    if kind is LossConfig and key in _OF_A_LOSS:
        if head == "none" and "{head}" in _OF_A_LOSS[key]:
            return "it is a key of the head's section now, and head is none"
        of_the_head = text.startswith("-") and "{head}" in _OF_A_LOSS[key]
        hint = "; leave it out for that loss's own default" if of_the_head else ""
        return f"it is {_OF_A_LOSS[key].format(head=head)} now{hint}"
    names = [field.name for field in dataclasses.fields(kind)]
    homes = [name for name, other in SECTIONS.items() if key in {field.name for field in dataclasses.fields(other)}]
    if homes:
        return f"unknown key; it belongs in [{'] or ['.join(homes)}]"
    further = f"; the settings of a loss are in a section of its name, [loss {head}]" if kind is LossConfig else ""
    return f"{unknown('key', key, names)}{further}"
