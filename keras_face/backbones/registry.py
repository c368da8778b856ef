"""The backbones by name, and where they come from."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

from keras_face.backbones.foamliu import foamliu_resnet
from keras_face.backbones.ghostfacenet import ghostfacenet
from keras_face.backbones.mobilefacenet import mobilefacenet
from keras_face.backbones.residual import INSIGHTFACE, LATSE, MARGIN_CENTRE, residual_network
from keras_face.backbones.settings import Settings
from keras_face.backbones.sphereface import seqface_resnet27, sphereface
from keras_face.backbones.two_view import two_view_resnet50
from keras_face.backbones.vision_transformer import vision_transformer
from keras_face.backend import keras
from keras_face.config.nearest import unknown


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        system: The published system.
        image_size: (height, width) of that system's crops.
        embedding_size: Numbers in that system's embeddings.
        place: The file in the system's repository that defines it, or the paper.

    Examples:
        >>> Source("one's own", "https://example.org/my_network").embedding_size
        512
    """

    system: str
    place: str
    image_size: tuple[int, int] = (112, 112)
    embedding_size: int = 512


_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 200: (6, 26, 60, 6)}
_LRESNET_UNITS = {32: (3, 3, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}
_FOAMLIU_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_SPHEREFACE_UNITS = {
    "4": (0, 0, 0, 0),
    "10": (0, 1, 2, 0),
    "20": (1, 2, 4, 1),
    "36": (2, 4, 8, 2),
    "64": (3, 8, 16, 3),
    "64_released": (3, 7, 16, 3),
}
# By arcface_torch's names: numbers in a token, blocks, dropped paths, masked patches.
_VISION_TRANSFORMERS = {
    "vit_t": (256, 12, 0.1, 0.1),
    "vit_t_dp005_mask0": (256, 12, 0.05, 0.0),
    "vit_s": (512, 12, 0.1, 0.1),
    "vit_s_dp005_mask_0": (512, 12, 0.05, 0.0),
    "vit_b": (512, 24, 0.1, 0.1),
    "vit_b_dp005_mask_005": (512, 24, 0.05, 0.05),
    "vit_l_dp005_mask_005": (768, 24, 0.05, 0.05),
}

_ARCFACE_TORCH = "deepinsight/insightface, recognition/arcface_torch/backbones"
_FRESNET = "deepinsight/insightface, recognition/arcface_mxnet/symbol/fresnet.py"

_BACKBONES: dict[str, Callable[[str, Settings], keras.Model]] = {}
_SOURCES: dict[str, Source] = {}


def _register(name: str, backbone: Callable[[str, Settings], keras.Model], source: Source) -> None:
    _BACKBONES[name], _SOURCES[name] = backbone, source


_register("mobilefacenet", mobilefacenet, Source("InsightFace", f"{_ARCFACE_TORCH}/mobilefacenet.py"))
for _prefix, _squeeze in (("", False), ("se_", True)):
    for _depth, _units in _UNITS.items():
        _register(
            f"{_prefix}iresnet{_depth}",
            partial(residual_network, family=INSIGHTFACE, units=_units, channels=(64, 128, 256, 512), squeeze=_squeeze),
            Source("InsightFace", _FRESNET if _squeeze else f"{_ARCFACE_TORCH}/iresnet.py"),
        )
    for _depth, _units in _LRESNET_UNITS.items():
        # margin-centre-face's own depth 32 is also narrower, but for its stem.
        _channels = (16, 32, 64, 128) if _depth == 32 else (64, 128, 256, 512)
        _register(
            f"{_prefix}lresnet{_depth}e_ir",
            partial(residual_network, family=MARGIN_CENTRE, units=_units, channels=_channels, squeeze=_squeeze),
            Source("margin-centre-face", "cnzeki/margin-centre-face, nets/L_Resnet_E_IR_fix_issue9.py", (112, 96)),
        )
    for _depth, _units in _FOAMLIU_UNITS.items():
        _register(
            f"{_prefix}foamliu_resnet{_depth}",
            partial(foamliu_resnet, units=_units, squeeze=_squeeze),
            Source("foamliu/InsightFace", "foamliu/InsightFace-v2, models.py"),
        )
for _depth in (18, 50, 100):
    _register(
        f"latse_resnet{_depth}",
        partial(residual_network, family=LATSE, units=_UNITS[_depth], channels=(64, 128, 256, 512), squeeze=False),
        Source("LATSE", "HuyaInc/huya_face, analysis/symbol/fresnet.py"),
    )
for _layers, _units in _SPHEREFACE_UNITS.items():
    _file = "model_lib/Sphereface-64/sphereface_64_model.prototxt" if "_" in _layers else "code/make_spherenet.py"
    _place = f"wy1iu/sphereface, train/{_file}"
    if _layers in ("4", "10"):
        _place = "https://arxiv.org/abs/1704.08063, table 2"
    _register(f"sphereface{_layers}", partial(sphereface, units=_units), Source("SphereFace", _place, (112, 96)))
_register(
    "seqface_resnet27",
    seqface_resnet27,
    Source("SeqFace", "ydwen/caffe-face, face_example/face_train_test.prototxt", (128, 128)),
)
for _layers, _place in (
    ("20", "huangyangyu/SeqFace, example/train_val.prototxt"),
    ("64", "wy1iu/sphereface, train/code/make_spherenet.py"),
):
    _register(
        f"seqface_resnet{_layers}",
        partial(sphereface, units=_SPHEREFACE_UNITS[_layers]),
        Source("SeqFace", _place, (128, 128)),
    )
for _version, _file in ((1, "ghost_model.py"), (2, "ghostv2.py")):
    for _suffix, _strides in (("", 1), ("_s2", 2)):
        _register(
            f"ghostfacenet_v{_version}{_suffix}",
            partial(ghostfacenet, version=_version, strides=_strides),
            Source("GhostFaceNets", f"HamadYA/GhostFaceNets, backbones/{_file}"),
        )
for _name, (_size, _depth, _drop_path, _mask_ratio) in _VISION_TRANSFORMERS.items():
    _register(
        _name,
        partial(vision_transformer, size=_size, depth=_depth, drop_path=_drop_path, mask_ratio=_mask_ratio),
        Source("InsightFace", f"{_ARCFACE_TORCH}/vit.py"),
    )
_register(
    "two_view_resnet50",
    two_view_resnet50,
    Source("GuGuGirls", "ffeiDing/GuGuGirls, FaceRecognition/tri_loss/model/resnet_stn.py", (128, 128), 4096),
)


Build = Callable[[str, Settings], keras.Model]


def register(name: str, *, source: Source | None = None) -> Callable[[Build], Build]:
    """Returns a decorator that makes a function of one's own a backbone by name, for `build` and in a configuration.

    The function takes the name and the `Settings`, and returns a model as `build` describes it; layers of its own are
    registered with Keras, so that `.keras` files hold them. `keras_face.testing.check_backbone` tells whether it keeps
    what the others do.

    Args:
        name: What it is called: letters, digits and underscores, none of `names()`.
        source: Where it comes from.

    Raises: ValueError if the name is taken, or no name.

    Examples:
        >>> @keras_face.backbones.register("two_convolutions")
        ... def two_convolutions(name, settings):
        ...     images = keras.Input(settings.input_shape)
        ...     x = keras.layers.Conv2D(32, 3, 2, activation="relu")(images)
        ...     x = keras.layers.Flatten()(keras.layers.Conv2D(64, 3, 2, activation="relu")(x))
        ...     return keras.Model(images, keras.layers.Dense(settings.embedding_size, dtype="float32")(x), name=name)
        ...
        >>> keras_face.backbones.build("two_convolutions", (32, 32, 3)).output_shape
        (None, 512)
    """
    if not name.isidentifier():
        raise ValueError(f"a backbone's name must be letters, digits and underscores, got {name!r}")
    if name in _BACKBONES:
        raise ValueError(f"there is a backbone {name!r} already; choose another name")

    def add(backbone: Build) -> Build:
        _register(name, backbone, source or Source("one's own", backbone.__module__))
        return backbone

    return add


def names() -> tuple[str, ...]:
    """Returns the names that `build` knows, in alphabetical order.

    Examples:
        >>> [name for name in keras_face.backbones.names() if name.startswith("iresnet")]
        ['iresnet100', 'iresnet18', 'iresnet200', 'iresnet34', 'iresnet50']
    """
    return tuple(sorted(_BACKBONES))


def source(name: str) -> Source:
    """Returns where the network of that name comes from.

    Raises: ValueError if the name is unknown.

    Examples:
        >>> keras_face.backbones.source("vit_t").place
        'deepinsight/insightface, recognition/arcface_torch/backbones/vit.py'
    """
    check(name)
    return _SOURCES[name]


def check(name: str) -> None:
    """Raises ValueError, which names the nearest known one first, if there is no such network.

    Examples:
        >>> keras_face.backbones.check("iresnet50")  # no error: there is one
    """
    if name not in _BACKBONES:
        raise ValueError(unknown("backbone", name, names()))


def build(
    name: str,
    input_shape: Sequence[int] = (112, 112, 3),
    embedding_size: int = 512,
    width: float = 1.0,
    dropout: float | None = None,
    *,
    dropout_seed: int = 0,
    synchronized: bool = False,
    mask_ratio: float | None = None,
) -> keras.Model:
    """Returns a freshly initialised network from standardised face crops to embeddings.

    The model takes float [batch, height, width, channels] in the compute dtype of the global mixed-precision policy,
    and gives float32 [batch, embedding_size], not of unit length.

    Args:
        name: One of `names()`; docs/networks.md says how big they are and where they come from.
            iresnet18, 34, 50, 100, 200: InsightFace's (arcface_torch).
            lresnet32e_ir, 50, 100, 152: margin-centre-face's.
            foamliu_resnet18, 34, 50, 101, 152: those of foamliu/InsightFace.
            se_...: each of them with squeeze-and-excitation.
            mobilefacenet: InsightFace's mbf.
            vit_t, vit_s, vit_b and ..._dp..._mask...: InsightFace's vision transformers.
            ghostfacenet_v1, v2, and _s2, where the first convolution halves the map: GhostFaceNet-1.3.
            latse_resnet18, 50, 100: Huya's encoders, iresnets with ReLU and He's start.
            sphereface4, 10, 20, 36, 64 and 64_released, seqface_resnet20, 27, 64: without batch normalisation.
            two_view_resnet50: GuGuGirls', of a crop and a window that it chooses.
        input_shape: (height, width, channels), height and width at least 16 pixels (seqface_resnet27: 33); published:
            (112, 112, 3); (112, 96, 3) for margin-centre-face and SphereFace; (128, 128, 3) for SeqFace and GuGuGirls.
            The weights of the embedding layer depend on it.
        embedding_size: Numbers in an embedding; published: 512, two_view_resnet50: 4096.
        width: Factor on every channel count, which is then rounded to a multiple of 8, at least 8 (ghostfacenet: of 4);
            published: 1.
        dropout: Share of the final map that is dropped in training, [0, 1); None: the published share, 0.6 for
            lresnet..., 0.5 for foamliu_..., 0.4 for latse_..., else 0.
        dropout_seed: Chooses the dropout masks, and what else a network draws in training.
        synchronized: Whether batch-normalisation statistics in training are of the global batch, so that N replicas
            compute what one device would, instead of each replica's own as published; slower (not fused).
        mask_ratio: Share of the patches that a vision transformer leaves out in training, [0, 1); None: its own.

    Raises: ValueError if the name is unknown or a value is out of range, or mask_ratio is given to another network.

    Examples:
        >>> network = keras_face.backbones.build("sphereface4", (16, 16, 3), embedding_size=8, width=0.1)
        >>> network(np.zeros((2, 16, 16, 3), np.float32)).shape
        TensorShape([2, 8])
    """
    check(name)
    if mask_ratio is not None and name not in _VISION_TRANSFORMERS:
        raise ValueError(f"mask_ratio is for vision transformers (vit_...), got {mask_ratio} for {name}")
    settings = Settings(input_shape, embedding_size, width, dropout, dropout_seed, synchronized, mask_ratio)
    model = _BACKBONES[name](name, settings)
    if model.output_shape != (None, embedding_size):
        raise ValueError(f"backbone {name!r} must give [batch, {embedding_size}], got {list(model.output_shape)}")
    return model
