"""Vision transformers for faces, as InsightFace trains them."""

from keras_face.backbones.dropout import StatelessDropout
from keras_face.backbones.layers import BatchNormalization, embed
from keras_face.backbones.settings import Settings
from keras_face.backbones.tokens import Attend, MaskTokens, Positions, RestoreTokens
from keras_face.backend import keras, tf

_PATCH = 9  # pixels
_HEADS = 8


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, tokens, size]."""

    def __init__(self, settings: Settings, size: int):
        self.settings, self.size = settings, size
        self.randoms = 0

    def seed(self) -> int:
        """Returns another seed for each random layer, far from those of neighbouring `dropout_seed`s."""
        self.randoms += 1
        return self.settings.dropout_seed + (self.randoms << 32)

    def dense(self, size: int, name: str, bias: bool = True, dtype: str | None = None) -> keras.layers.Layer:
        # PyTorch's trunc_normal_(std=0.02) cuts at 2, which is nowhere.
        kernel = keras.initializers.RandomNormal(0.0, 0.02)
        return keras.layers.Dense(size, use_bias=bias, kernel_initializer=kernel, dtype=dtype, name=name)

    def normalise(self, x: tf.Tensor, name: str, dtype: str | None = None) -> tf.Tensor:
        return keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name=name)(x)

    def batch_normalise(self, name: str) -> keras.layers.Layer:
        synchronized = self.settings.synchronized
        return BatchNormalization(momentum=0.9, epsilon=2e-5, synchronized=synchronized, dtype="float32", name=name)

    def add(self, x: tf.Tensor, branch: tf.Tensor, drop_path: float, name: str) -> tf.Tensor:
        if drop_path:
            branch = StatelessDropout(drop_path, self.seed(), whole_examples=True, name=f"{name}_drop_path")(branch)
        return keras.layers.Add(name=f"{name}_add")([x, branch])

    def block(self, x: tf.Tensor, drop_path: float, name: str) -> tf.Tensor:
        branch = self.normalise(x, f"{name}_norm1")
        branch = self.dense(3 * self.size, f"{name}_queries_keys_values", bias=False)(branch)
        branch = Attend(_HEADS, name=f"{name}_attend")(branch)
        branch = self.dense(self.size, f"{name}_project")(branch)
        x = self.add(x, branch, drop_path, f"{name}_attention")
        branch = self.dense(4 * self.size, f"{name}_dense1")(self.normalise(x, f"{name}_norm2"))
        branch = keras.layers.ReLU(6.0, name=f"{name}_relu6")(branch)
        return self.add(x, self.dense(self.size, f"{name}_dense2")(branch), drop_path, f"{name}_dense")


def vision_transformer(
    name: str, settings: Settings, *, size: int, depth: int, drop_path: float, mask_ratio: float
) -> keras.Model:
    """Returns one of arcface_torch's vision transformers: patches of 9 pixels, 8 heads, no class token.

    At 112x112 these are 12x12 patches; the last 4 rows and columns of pixels are in none. Two dense layers make the
    embedding of all tokens. In arcface_torch `mask_ratio` 0.05 masks 0.1, by a mistake; here it masks what it says.
    Its recomputation of activations in the backward pass, which saves memory, is left out.

    Args:
        name: Name of the model.
        settings: What the user chose; its `mask_ratio`, if any, replaces the network's.
        size: Numbers in a token.
        depth: Blocks.
        drop_path: Share of examples that skip the last block's branches in training; from 0 at the first block on.
        mask_ratio: Share of the patches that is left out in training.

    Reference: An et al. 2022, https://arxiv.org/abs/2203.15565; deepinsight/insightface,
        recognition/arcface_torch/backbones/vit.py.
    """
    mask_ratio = mask_ratio if settings.mask_ratio is None else settings.mask_ratio
    size = settings.channels(size)
    parts = _Parts(settings, size)
    images = settings.images()
    # PyTorch's own initialisation, but that its random bias starts at 0 here.
    kernel = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    x = keras.layers.Conv2D(size, _PATCH, _PATCH, kernel_initializer=kernel, name="patches")(images)
    x = Positions(name="positions")(keras.layers.Reshape((-1, size), name="tokens")(x))
    places = None
    if mask_ratio:
        x, places = MaskTokens(mask_ratio, parts.seed(), name="mask")(x)
    for block in range(depth):
        x = parts.block(x, drop_path * block / max(1, depth - 1), f"block{block + 1}")
    x = parts.normalise(x, "final_norm", dtype="float32")
    if places is not None:
        x = RestoreTokens(dtype="float32", name="restore")([x, places])
    x = settings.drop(x, 0.0)
    # The head is in float32, as InsightFace has it.
    x = keras.layers.Flatten(name="all_tokens", dtype="float32")(x)
    x = keras.layers.Reshape((1, 1, -1), name="head_pixel", dtype="float32")(x)  # a map of one pixel, see embed()
    x = parts.batch_normalise("head_norm")(parts.dense(size, "head_dense", bias=False, dtype="float32")(x))
    dense = parts.dense(settings.embedding_size, "embedding_dense", bias=False, dtype="float32")
    return keras.Model(images, embed(x, dense, parts.batch_normalise("embedding_norm")), name=name)
