"""What the commands share: their common flags, and how one runs and ends."""

from keras_face.commands.flags import evaluation_flags, output_flags, training_flags
from keras_face.commands.running import run

__all__ = ["evaluation_flags", "output_flags", "run", "training_flags"]
