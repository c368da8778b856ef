"""What only a GPU can show; skipped where there is none."""

import numpy as np
import pytest
from test_compiling import same, trained

from keras_face import losses
from keras_face.backend import tf
from keras_face.training import compiling, hardware

pytestmark = pytest.mark.gpu


def test_a_gpu_is_named(gpu):
    assert hardware.description(gpu, "compiled").startswith("1 GPU, ")
    assert hardware.unused_gpu() == ""


def test_a_compiled_step_is_the_plain_one_of_the_processor(gpu):
    settings = {"batch_norm": True, "weight_decay": 0.01, "clip_norm": 0.5, "average_decay": 0.9}
    on_processor = trained(tf.distribute.OneDeviceStrategy("CPU:0"), compiling.NOTHING, **settings)
    on_gpu = trained(gpu, compiling.STEP, **settings)
    assert on_gpu[2] == compiling.STEP
    same(on_processor, on_gpu)


def test_float32_products_are_in_full():
    random = np.random.default_rng(0)
    left, right = (random.normal(size=[64, 512]).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(tf.matmul(left, right, transpose_b=True), left @ right.T, atol=1e-4)


@pytest.mark.parametrize("name, copies", [("softmax", 1.3), ("arcface", 1.3), ("subcentre_arcface", 1.6)])
def test_a_head_holds_one_gradient_of_its_table_and_no_copy(gpu, name, copies):
    identities, size = 100_000, 512
    with gpu.scope():
        head = losses.get(name, num_identities=identities)
        head.build((None, size))

    @tf.function(jit_compile=True)
    def gradients(embeddings, labels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head(embeddings, labels, training=True))
        return tape.gradient(loss, head.trainable_weights)

    batch = tf.random.normal([32, size]), tf.random.uniform([32], 0, identities, tf.int64)
    gradients(*batch)
    tf.config.experimental.reset_memory_stats("GPU:0")
    before = tf.config.experimental.get_memory_info("GPU:0")["current"]
    gradients(*batch)
    used = tf.config.experimental.get_memory_info("GPU:0")["peak"] - before
    assert used < copies * 4 * size * head.num_prototypes
