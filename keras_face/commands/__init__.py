"""What the commands share: their common flags, and how one runs and ends."""

from keras_face.commands import quiet

quiet.import_tensorflow()  # before the modules below do

from keras_face.commands.flags import (  # noqa: E402
    evaluation_flags,
    min_photos_flag,
    output_flags,
    photos_flag,
    pixel_limit_flag,
    pooling_flags,
    set_size_flag,
    template_flag,
    training_flags,
)
from keras_face.commands.running import run, show  # noqa: E402

__all__ = [
    "evaluation_flags",
    "min_photos_flag",
    "output_flags",
    "photos_flag",
    "pixel_limit_flag",
    "pooling_flags",
    "run",
    "set_size_flag",
    "show",
    "template_flag",
    "training_flags",
]
