"""The one place that imports TensorFlow: hands out `tf`, `keras` (Keras 2) and `addons()`.

Keras 2 is needed by tensorflow-addons, and is faster here than Keras 3 (docs/design.md). TensorFlow takes it from the
`tf-keras` package, as TF_USE_LEGACY_KERAS says when `tf.keras` is first used; `keras_face/__init__.py` sets that.
"""

import importlib
import os
import re
import sys
import types
import warnings

import tensorflow as tf

if os.environ["TF_USE_LEGACY_KERAS"] not in ("1", "true", "True"):
    raise ImportError(
        "keras_face needs Keras 2, but TF_USE_LEGACY_KERAS is set to "
        f"{os.environ['TF_USE_LEGACY_KERAS']!r}; unset it or set it to 1"
    )

keras = tf.keras


def _check_keras() -> None:
    """Raises ImportError unless `tf.keras` is Keras 2."""
    try:
        home = keras.Model.__module__
    except ImportError as error:
        raise ImportError(
            f"TensorFlow {tf.__version__} needs the tf-keras package of its own version: "
            f"pip install 'tf-keras~={tf.__version__.rsplit('.', 1)[0]}.0'"
        ) from error
    if ".engine." not in home:  # Keras 3 has no `engine` package
        raise ImportError(
            f"keras_face needs Keras 2, but tf.keras is Keras 3 ({home}): it was used before keras_face was imported; "
            "import keras_face first, or set TF_USE_LEGACY_KERAS=1 in the environment"
        )


_check_keras()


def said_by(error: Exception) -> str:
    """Returns what an error of TensorFlow says in one line, without the names of its own nodes."""
    said = re.sub(r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:.*?\]|name: \S*", " ", getattr(error, "message", None) or str(error))
    return " ".join(said.split())


def addons() -> types.ModuleType:
    """Returns tensorflow_addons, which has wheels for Python 3.10 and 3.11 only.

    Raises:
        ImportError: tensorflow-addons is not installed (on Python 3.12+ it cannot be).
    """
    # Addons 0.23 looks for Keras 2 under the name of the `keras` package, which is Keras 3, or another copy of Keras 2.
    package = keras.Model.__module__.split(".")[0]
    inner = ("", ".src", ".src.engine", ".src.engine.keras_tensor")
    names = {f"keras{name}": importlib.import_module(f"{package}{name}") for name in inner}
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its end-of-life and version notices
            return importlib.import_module("tensorflow_addons")
    except ImportError as error:
        raise ImportError(
            "this setting needs tensorflow-addons, which exists for Python 3.10 and 3.11 only; this is Python "
            f"{sys.version_info.major}.{sys.version_info.minor}: choose another setting or install tensorflow-addons"
        ) from error
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
