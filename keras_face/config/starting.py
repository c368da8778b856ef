"""What a training takes over from the run that it starts from."""

from pathlib import Path

from keras_face.config.ini import given
from keras_face.config.values import expanded

# What the weights of a network fit to, the photos that it was trained on, and whom it was not trained on: who was held
# out of the run is to be held out of what goes on from it, or the figures flatter.
_TAKEN = (
    "model.backbone",
    "model.embedding_size",
    "model.width",
    "data.image_size",
    "data.standardise",
    "data.hold_out",
    "data.hold_out_seed",
)


def taken_from_run(model_path: str) -> list[str]:
    """Returns overrides `section.key=value` that give a training the network, pixels and held-out people of a run.

    Args:
        model_path: The text of `[model] model_path`: a run's folder, or a checkpoint or an export in it. Where it is of
            no run, nothing is returned.
    """
    path = Path(expanded(model_path.strip(), "[model] model_path"))
    for folder in (path, *path.absolute().parents[:2]):
        if (folder / "config.ini").is_file() and (folder / "checkpoints").is_dir():
            # As text, since a run of an earlier version may have keys that are called otherwise now.
            values = given(folder / "config.ini")
            keys = [(each, *each.split(".")) for each in _TAKEN]
            return [
                f"{each}={values[section][key][0]}" for each, section, key in keys if key in values.get(section, {})
            ]
    return []
