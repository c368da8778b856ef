"""Two logical CPUs stand for two GPUs in every test; real photographs where they are."""

import functools
import gc
import os
from collections.abc import Callable
from pathlib import Path

import command_runs
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# LLVM's optimisation is more than half the time of a compilation, and there are hundreds here, of a few lines each.
# XLA's own passes, which the numbers are owed to, run as ever. Processes of the tests inherit it.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from keras_face.backend import tf  # after the log level

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_finish():
    """Keeps the garbage collector from what was imported, and lets it come seldom: it takes up to 40 % of a test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 10)


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
