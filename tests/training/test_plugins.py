import re
import sys

import pytest

from keras_face import losses
from keras_face.losses import registry
from keras_face.training.plugins import import_plugins

PLUGIN = """
import keras_face
from keras_face.backend import keras

@keras_face.losses.register("of_the_plugin")
class Mine(keras_face.losses.CosineMargin):
    pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to be in, and modules, path and registers as they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.setattr(registry, "LOSSES", dict(registry.LOSSES))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plugin"):
            del sys.modules[name]


def test_a_plugin_of_the_present_folder_registers_a_loss_and_is_named_in_the_log(folder, caplog):
    (folder / "plugin_of_mine.py").write_text(PLUGIN)
    with caplog.at_level("INFO", "keras_face"):
        import_plugins(["plugin_of_mine"])
    assert "of_the_plugin" in losses.names()
    assert str(folder / "plugin_of_mine.py") in caplog.text


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "plugin_x cannot be imported: ModuleNotFoundError: No module named 'plugin_x'"),
        ("1 / 0", "plugin_x cannot be imported: ZeroDivisionError: division by zero"),
        ("def", "plugin_x cannot be imported: SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(folder, text, message):
    if text is not None:
        (folder / "plugin_x.py").write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"[run] plugins: {message}")):
        import_plugins(["plugin_x"])
