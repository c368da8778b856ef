"""What a run computes on, and what is said where that is less than the machine has."""

import math
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from keras_face.backend import tf

_DRIVER = Path("/proc/driver/nvidia/version")
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def on_gpus(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether all replicas of this process are on GPUs."""
    return all("GPU" in device.upper() for device in strategy.extended.worker_devices)


def description(strategy: tf.distribute.Strategy, *facts: str) -> str:
    """Returns what a run is on, in words: "1 GPU, NVIDIA H200, bfloat16, compiled".

    Args:
        strategy: Its devices.
        facts: What else is said.
    """
    if on_gpus(strategy):
        gpus = tf.config.list_physical_devices("GPU")[: len(strategy.extended.worker_devices)]
        names = Counter(tf.config.experimental.get_device_details(gpu).get("device_name", "unnamed") for gpu in gpus)
        what = [f"{len(gpus)} GPU{'s' * (len(gpus) > 1)}", " and ".join(names)]
    else:
        replicas = len(strategy.extended.worker_devices)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        what = [f"CPU, {cores} cores", *([f"{replicas} logical devices"] if replicas > 1 else [])]
    return ", ".join([*what, *facts])


def unused_gpu(driver: Path = _DRIVER) -> str:
    """Returns why TensorFlow cannot use the GPU of this machine, and what mends it; "" where it can, or there is none.

    Args:
        driver: Where NVIDIA's driver says that it is loaded.
    """
    if tf.config.list_physical_devices("GPU") or "CUDA_VISIBLE_DEVICES" in os.environ or not driver.is_file():
        return ""
    loaded = re.search(r"\b(\d{3,}\.[\d.]+)", driver.read_text(encoding="utf-8", errors="replace"))
    gpu = f"this machine has an NVIDIA GPU (driver {loaded[1] if loaded else 'unknown'})"
    build = tf.sysconfig.get_build_info()
    if not build.get("is_cuda_build"):
        reason = "is built without CUDA"
    else:
        wanted = f"CUDA {build.get('cuda_version')} and cuDNN {build.get('cudnn_version')}"
        reason = f"finds no libraries of {wanted}, or no driver new enough for them"
    return (
        f"{gpu}, but TensorFlow {tf.__version__} {reason}: training on the CPU; "
        f"pip install 'tensorflow[and-cuda]=={tf.__version__}' brings these"
    )


def out_of_memory(error: tf.errors.ResourceExhaustedError, batch_size: int, multiple: int) -> str:
    """Returns the line for a step that does not fit into a GPU's memory: which batch would, as far as can be told.

    Args:
        error: What TensorFlow said.
        batch_size: Of the step, over all replicas.
        multiple: What a batch must be a multiple of.
    """
    asked = re.search(r"trying to allocate ([\d.]+) ?(bytes|KiB|MiB|GiB)", str(error))
    free = _free_memory()
    share = 0.5
    if asked and free:  # XLA asks for all that a step needs at once
        share = min(0.9 * free / (float(asked[1]) * _UNITS[asked[2]]), 0.9)
    fits = max(multiple, math.floor(batch_size * share / multiple) * multiple)
    parts = math.ceil(batch_size / fits)
    return (
        f"[training] batch_size: {batch_size} photos do not fit into the memory; expected about {fits}, or this "
        f"batch in parts, [optimizer] accumulation_steps = {parts}, or [run] precision = bfloat16 where it is float32"
    )


def _free_memory() -> float:
    """Returns the bytes of the first GPU that TensorFlow does not hold; 0 where that cannot be told."""
    if not tf.config.list_logical_devices("GPU") or not shutil.which("nvidia-smi"):
        return 0.0
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    total = float(told[0]) * 2**20 if told and told[0].isdigit() else 0.0
    return max(0.0, total - tf.config.experimental.get_memory_info("GPU:0")["current"])
