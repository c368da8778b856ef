"""Two logical CPUs stand for two GPUs in every test; real photographs where they are."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import command_runs
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_face.backend import tf  # after the log level

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """The folder of real photographs; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("KERAS_FACE_DATA") or REPOSITORY / ".." / "shared" / "data")
    if not (folder / "lfw").is_dir():
        pytest.skip(f"real photographs are not at {folder}; set KERAS_FACE_DATA")
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., command_runs.Ended]:
    """Runs `command(MODULE, *ARGUMENTS)` in this process."""
    return functools.partial(command_runs.run, monkeypatch, capsys)


@pytest.fixture
def two_replicas() -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())


@pytest.fixture
def one_replica() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy("CPU:0")
