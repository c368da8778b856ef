"""How much of a step XLA compiles, and what is said where it cannot."""

import re

from keras_face.backend import tf
from keras_face.losses.fused import xla_trouble

STEP, NETWORK, NOTHING = "step", "network", "nothing"
# From the fastest to the slowest: where one cannot be compiled, the next is taken.
FORMS = (STEP, NETWORK, NOTHING)
WORDS = {STEP: "compiled", NETWORK: "the network compiled, the rest not", NOTHING: "not compiled"}


def form_of(jit: str, on_gpus: bool) -> tuple[str, str]:
    """Returns how much of a step is to be compiled, one of `FORMS`, and why that is less than asked for; else "".

    Args:
        jit: `auto`, which is the whole step on GPUs and nothing on a CPU; `True`, `network` or `False`.
        on_gpus: Whether the training is on GPUs.
    """
    if jit == "False" or (jit == "auto" and not on_gpus):
        return NOTHING, ""
    trouble = xla_trouble()
    if trouble:
        return NOTHING, (
            f"XLA cannot compile for this machine's GPU ({trouble}), so the step is not compiled; pip install "
            f"nvidia-cuda-nvcc-cu12 brings the ptxas and libdevice that it needs"
        )
    return (NETWORK if jit == "network" else STEP), ""


def part_of(message: str) -> str:
    """Returns the part of a step that XLA's message is about: `loss_arcface`, `network`, `teacher`, `optimizer`."""
    for node in re.findall(r"\{\{node ([^}]+)\}\}", message):
        for scope in node.split("/"):
            if scope.startswith("loss_") or scope in ("network", "teacher", "optimizer"):
                return scope
    return "the step"


def reason_of(message: str) -> str:
    """Returns what XLA's message says, on one line."""
    lines = [line.strip() for line in message.split("\n") if line.strip()]
    line = next((line for line in lines if "{{node" in line and " graph " in line), lines[0] if lines else "no reason")
    return re.sub(r"^.*trying to compile graph .*? on \w+: ", "", re.sub(r"\{\{node [^}]+\}\}", "", line))[:160]


def is_about_compiling(error: Exception) -> bool:
    """Returns whether what the first call of a compiled step raised may be of the compiling, and not of the batch."""
    # Where replicas meet in a way that no compiled function has, TensorFlow raises a RuntimeError while tracing.
    return isinstance(error, (tf.errors.OpError, RuntimeError))
