"""The devices that a run trains on."""

import contextlib
import os
from collections.abc import Iterator

from keras_face.backend import tf
from keras_face.config import RunConfig


def build_strategy(config: RunConfig) -> tf.distribute.Strategy:
    """Returns the distribution strategy; to be called before TensorFlow touches a device.

    Raises:
        ValueError: The logical CPUs come too late, or TF_CONFIG is missing for multi_worker.
    """
    if config.logical_cpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * config.logical_cpus
            )
        except RuntimeError:
            found = len(tf.config.list_logical_devices("CPU"))
            if found != config.logical_cpus:
                raise ValueError(
                    f"[run] logical_cpus: expected to be set before TensorFlow starts; it runs with {found}, "
                    f"not {config.logical_cpus}"
                ) from None
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # already running: its memory is as it is
            if config.gpu_memory_limit:
                limited = tf.config.LogicalDeviceConfiguration(memory_limit=config.gpu_memory_limit)
                tf.config.set_logical_device_configuration(gpu, [limited])
            else:
                tf.config.experimental.set_memory_growth(gpu, True)
    if config.strategy == "multi_worker":
        if not os.environ.get("TF_CONFIG"):
            raise ValueError("[run] strategy multi_worker: expected the environment variable TF_CONFIG, it is not set")
        return tf.distribute.MultiWorkerMirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if config.strategy == "one_device":
        return tf.distribute.OneDeviceStrategy(devices[0])
    # Without GPUs there is no NCCL; and TensorFlow's collectives number those of each strategy in a process anew.
    reduce = tf.distribute.ReductionToOneDevice() if kind == "CPU" else None
    return tf.distribute.MirroredStrategy(devices, reduce)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one of several workers that writes what a run leaves; alone it is."""
    if not _several(strategy):
        return True
    resolver = strategy.cluster_resolver
    return resolver.task_type in (None, "chief") or resolver.task_id == 0


def check_same_step(strategy: tf.distribute.Strategy, step: int) -> None:
    """Raises ValueError if workers go on from different steps, as they do where they see different checkpoints."""
    if _several(strategy) and _total(strategy, step) != step * strategy.num_replicas_in_sync:
        raise ValueError(
            "[run] output_dir: expected a folder that all workers see, but they go on from different steps"
        )


@contextlib.contextmanager
def chief_first(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Within it one of several workers is alone: the chief, and then the others, who find what it wrote."""
    first = is_chief(strategy)
    if _several(strategy) and not first:
        _total(strategy, 0)
    yield
    if _several(strategy) and first:
        _total(strategy, 0)


def _several(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _total(strategy: tf.distribute.Strategy, number: int) -> int:
    """Returns the sum of a number over all replicas; all workers wait here for each other."""
    return int(strategy.reduce("SUM", strategy.run(lambda: tf.constant(number, tf.int64)), axis=None))
