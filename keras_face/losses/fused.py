"""Passes over arrays of [batch, identities] or of all prototypes, compiled into one each where there is no GPU.

On a GPU these passes are a small part of a step, and XLA needs tools that are not installed everywhere.
"""

import functools
from collections.abc import Callable
from typing import Any

from keras_face.backend import tf


@functools.cache
def compiled(function: Callable) -> Callable:
    """Returns the function, compiled by XLA where there is no GPU; not for what a tape is to go through."""
    if tf.config.list_logical_devices("GPU"):
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def fused(function: Callable) -> Callable:
    """Decorates a function of tensors, and of settings by keyword: compiles it and its gradient into a pass each.

    The gradient computes again what it needs of the function, so that nothing is kept between the two passes. On a GPU
    the function stays as it is.
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

        return function(*tensors, **settings) if tf.config.list_logical_devices("GPU") else compute(*tensors)

    return call
