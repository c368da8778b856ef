"""Two logical devices of one kind stand for two GPUs in every test; real photographs where they are."""

import functools
import gc
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

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
GPUS = tf.config.list_physical_devices("GPU")
if GPUS:  # two logical ones of the first stand for two; each process of the tests takes this much of it
    tf.config.set_visible_devices(GPUS[0], "GPU")
    tf.config.set_logical_device_configuration(GPUS[0], [tf.config.LogicalDeviceConfiguration(memory_limit=2048)] * 2)
    tf.config.experimental.enable_tensor_float_32_execution(False)
KIND = "GPU" if GPUS else "CPU"

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
    return tf.distribute.MirroredStrategy([f"{KIND}:0", f"{KIND}:1"], tf.distribute.ReductionToOneDevice())


@pytest.fixture
def one_replica() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(f"{KIND}:0")


@pytest.fixture
def gpu() -> tf.distribute.Strategy:
    """A strategy on one GPU; tests that need one are skipped where there is none."""
    if not GPUS:
        pytest.skip("no GPU that TensorFlow can use")
    return tf.distribute.OneDeviceStrategy("GPU:0")


@pytest.fixture
def as_on_gpus(monkeypatch, two_replicas) -> SimpleNamespace:
    """Two CPUs that TensorFlow takes for GPUs where it decides how replicas meet in a step that it compiles.

    There they may not leave their functions: `merge_call` is refused. `trace` traces a step on the replicas of
    `strategy`, runs nothing, and returns the number of collective operations.
    """
    from tensorflow.python.distribute import mirrored_run, mirrored_strategy

    def refused(*_, **__):
        raise AssertionError("merge_call within a step that is compiled for GPUs")

    for module in (mirrored_run, mirrored_strategy):
        monkeypatch.setattr(module, "_is_gpu_device", lambda device: True)
    monkeypatch.setattr(mirrored_run._MirroredReplicaContext, "_merge_call", refused)

    def trace(step, *arguments):
        compiled = tf.function(step, jit_compile=True)
        graph = tf.function(lambda *args: two_replicas.run(compiled, args)).get_concrete_function(*arguments).graph
        functions = graph.as_graph_def().library.function
        return sum(node.op.startswith("Collective") for function in functions for node in function.node_def)

    return SimpleNamespace(strategy=two_replicas, trace=trace)
