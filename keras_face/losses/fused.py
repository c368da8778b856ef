"""Passes over arrays of [batch, identities] or of all prototypes, compiled into one each, on a CPU and on a GPU.

On a GPU XLA needs tools that are not installed everywhere; where they are not, the passes stay as they are.
"""

import functools
from collections.abc import Callable
from typing import Any

from keras_face.backend import tf


@functools.cache
def xla_trouble() -> str:
    """Returns why XLA cannot compile for this machine's GPU; "" where it can, and where there is none."""
    if not tf.config.list_logical_devices("GPU"):
        return ""

    @tf.function(jit_compile=True)
    def tried(values: tf.Tensor) -> tf.Tensor:
        return tf.exp(values)  # asks for libdevice, and is assembled by ptxas

    try:
        with tf.init_scope(), tf.device("GPU:0"):
            tried(tf.ones([2]))
    except (tf.errors.OpError, RuntimeError) as error:
        return str(error).split("\n")[0][:200] or type(error).__name__
    return ""


@functools.cache
def compiled(function: Callable) -> Callable:
    """Returns the function, compiled by XLA where that works; not for what a tape is to go through."""
    return function if xla_trouble() else tf.function(function, jit_compile=True, autograph=False)


def fused(function: Callable) -> Callable:
    """Decorates a function of tensors, and of settings by keyword: compiles it and its gradient into a pass each.

    The gradient computes again what it needs of the function, so that nothing is kept between the two passes. Where XLA
    does not work the function stays as it is.
    """

    def gradients(upstream: tf.Tensor, *tensors: tf.Tensor, **settings: Any) -> list[tf.Tensor | None]:
        with tf.GradientTape() as tape:
            tape.watch([tensor for tensor in tensors if tensor.dtype.is_floating])
            result = function(*tensors, **settings)
        return tape.gradient(result, tensors, upstream)

    @functools.wraps(function)
    def call(*tensors: tf.Tensor, **settings: Any) -> tf.Tensor:
        @tf.custom_gradient
        def compute(*tensors: tf.Tensor) -> tuple:
            def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
                return compiled(gradients)(upstream, *tensors, **settings)

            return compiled(function)(*tensors, **settings), gradient

        return function(*tensors, **settings) if xla_trouble() else compute(*tensors)

    return call
