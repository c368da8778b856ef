import pytest

from keras_face.backend import tf
from keras_face.config import RunConfig
from keras_face.training import hardware
from keras_face.training.strategy import build_strategy

DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    path = tmp_path / "version"
    path.write_text(DRIVER)
    return path


def test_a_machine_without_gpus_is_described_by_its_processor(one_replica, two_replicas):
    assert hardware.description(one_replica, "float32", "not compiled").startswith("CPU, ")
    assert hardware.description(two_replicas, "bfloat16").endswith("cores, 2 logical devices, bfloat16")


def test_gpus_are_described_by_number_and_name(one_replica, monkeypatch):
    monkeypatch.setattr(hardware, "on_gpus", lambda strategy: True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA H200"})
    assert hardware.description(one_replica, "bfloat16", "compiled") == "1 GPU, NVIDIA H200, bfloat16, compiled"


@pytest.mark.parametrize(
    "build, reason",
    [
        ({"is_cuda_build": False}, "is built without CUDA"),
        ({"is_cuda_build": True, "cuda_version": "12.5", "cudnn_version": "9"}, "finds no libraries of CUDA 12.5 and"),
    ],
)
def test_a_gpu_that_tensorflow_cannot_use_is_said_with_what_to_install(driver, monkeypatch, build, reason):
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: build)
    line = hardware.unused_gpu(driver)
    assert line.startswith("this machine has an NVIDIA GPU (driver 580.65.06), but TensorFlow ")
    assert reason in line
    assert f"pip install 'tensorflow[and-cuda]=={tf.__version__}'" in line


def test_nothing_is_said_where_there_is_no_driver_or_the_gpu_is_hidden_on_purpose(driver, monkeypatch, tmp_path):
    assert hardware.unused_gpu(tmp_path / "none") == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.unused_gpu(driver) == ""


@pytest.mark.parametrize(
    "message, free, fits, parts",
    [
        ("Out of memory while trying to allocate 8.00GiB", 4 * 2**30, 115, 3),  # 0.9 * 4 / 8 of 256
        ("Out of memory while trying to allocate 8.00GiB", 0.0, 128, 2),  # not known how much there is
        ("OOM when allocating tensor with shape[256,64,112,112]", 4 * 2**30, 128, 2),
        ("Out of memory while trying to allocate 900.00GiB", 2**30, 1, 256),
    ],
)
def test_the_batch_that_would_fit_is_the_share_of_the_memory_that_there_is(monkeypatch, message, free, fits, parts):
    monkeypatch.setattr(hardware, "_free_memory", lambda: free)
    line = hardware.out_of_memory(tf.errors.ResourceExhaustedError(None, None, message), 256, 1)
    assert line.startswith("[training] batch_size: 256 photos do not fit into the memory; expected about ")
    assert f"about {fits}, " in line
    assert f"accumulation_steps = {parts}, " in line


@pytest.mark.parametrize("limit", [0, 512])
def test_memory_grows_or_has_a_limit(monkeypatch, limit):
    done = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["card"] if kind == "GPU" else ["cpu"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: done.append((gpu, "grows")))
    monkeypatch.setattr(
        tf.config, "set_logical_device_configuration", lambda gpu, parts: done.append((gpu, parts[0].memory_limit))
    )
    build_strategy(RunConfig(strategy="one_device", gpu_memory_limit=limit))
    assert done == [("card", limit or "grows")]
