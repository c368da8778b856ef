"""Flags that users of margin-centre-face know, as other names of keys."""

from collections.abc import Iterable
from typing import Any

from keras_face.config.values import split_override, value_of_loss

# --net_depth 50 is backbone lresnet50e_ir.
FAMILIAR_FLAGS = {
    "model_path": "model.model_path",
    "net_depth": "model.backbone",
    "image_size": "data.image_size",
    "batch_size": "training.batch_size",
    "epoch": "training.epochs",
    "lr_steps": "schedule.lr_steps",
    "momentum": "optimizer.momentum",
    "weight_decay": "optimizer.weight_decay",
    "centre_weight": "loss angular_centre.weight",
    "triplet_margin": "loss batch_hard_triplet.margin",
    "triplet_weight": "loss batch_hard_triplet.weight",
    "sample_per_class": "data.images_per_identity",
    "saver_maxkeep": "training.saver_maxkeep",
    "summary_interval": "training.summary_interval",
    "ckpt_interval": "training.ckpt_interval",
    "validate_interval": "training.validate_interval",
    "show_info_interval": "training.show_info_interval",
}


def familiar(flag: str, value: str) -> list[str]:
    """Returns the overrides that a flag of margin-centre-face stands for.

    Args:
        flag: A key of `FAMILIAR_FLAGS`.
        value: Its text on the command line.
    """
    if flag == "net_depth" and value.isdigit():
        value = f"lresnet{value}e_ir"
    instead = ["training.steps=0"] if flag == "epoch" else []
    return [*instead, f"{FAMILIAR_FLAGS[flag]}={value}"]


def check_flag(flag: str, stands_for: Iterable[str], overrides: Iterable[str]) -> None:
    """Raises ValueError, which names both, where a flag and an override give one key two values.

    Args:
        flag: The flag with its value, as it was given.
        stands_for: The overrides that it stands for.
        overrides: The others, `section.key=value` each; of one key the last counts.
    """
    last = {
        (section, key): (value, each) for each in overrides for section, key, value in [split_override(each, "--set")]
    }
    for own in stands_for:
        section, key, value = split_override(own, flag)
        other, override = last.get((section, key), (value, ""))
        if _plain(other) != _plain(value):
            raise ValueError(f"{flag} and --set {override!r}: expected one value of [{section}] {key}, got two")


def _plain(text: str) -> list[Any]:
    """Returns what a text stands for, so that 0.30 is 0.3 and `112,96` is `112, 96`."""
    return [value_of_loss("", part, "") for part in text.split(",")]
