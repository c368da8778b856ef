"""The sections about the network, its losses, and what teaches it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_face.config.setting import setting


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network."""

    backbone: str = setting(
        "iresnet50", "Name of the network; python -c 'from keras_face import backbones; print(backbones.names())'"
    )
    embedding_size: int = setting(512, "Numbers in an embedding.", 2, 8192)
    width: float = setting(1.0, "Multiplies the channels of every layer; 1 is the published network.", 0.05, 4)
    dropout: float = setting(
        -1.0, "Share of dropped activations before the embedding; negative: the network's own.", -1, 0.95
    )
    synchronized: bool = setting(
        True, "Several replicas: batch statistics of the global batch, as on one device; False: each its own, faster."
    )
    model_path: str = setting("", "Run folder, checkpoint or exported model to start the network's weights from.")
    keep_prototypes: bool = setting(
        False, "Start the head from model_path's too: people of the same name keep their prototypes; a run folder."
    )
    frozen_stages: int = setting(
        0,
        "First stages of model_path's network (or blocks) that stay as they are, the stem with the first.",
        0,
    )


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """A trained model that guides the training."""

    model_path: str = setting(
        "", "Its run folder or export, for losses with a teacher; mask and logit_distillation need the run folder."
    )
    mask: str = setting(
        "none",
        "What a photo teaches the network: top_k: nothing, where the teacher finds top_k people nearer than the label; "
        "soft: as much as its cosine with the label.",
        choices=("none", "top_k", "soft"),
    )
    top_k: int = setting(1, "top_k: how many.", 1)


@dataclasses.dataclass(frozen=True)
class LatseConfig:
    """LATSE's decoder: photos are drawn again from their embeddings."""

    weight: float = setting(0.0, "Weight of the reconstruction term; 0: no decoder.", 0)
    warmup_steps: int = setting(0, "Steps in which that weight rises from 0.", 0)
    distance: str = setting(
        "smooth_l1",
        "How far a drawn photo is: smooth L1 of sigma 3, or (1 - SSIM) / 2 of the whole image.",
        choices=("smooth_l1", "ssim"),
    )
    aim: str = setting(
        "crop",
        "What is to be drawn: the augmented crop, or the running mean of the identity's; on disk, identities * height "
        "* width * 3 bytes, copied at each checkpoint.",
        choices=("crop", "identity_mean"),
    )
    momentum: float = setting(0.9, "identity_mean: how much of the mean stays at each photo.", 0, 0.999)
    width: float = setting(1.0, "Multiplies the channels of the decoder.", 0.05, 4)
    activation: str = setting("prelu", "Of the decoder; relu: the original's.", choices=("prelu", "relu"))


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Which loss classifies; all else of a loss is in the section of its name, see `NamedLossConfig`."""

    head: str = setting("arcface", "Classification loss: a name of docs/losses.md, or none.")
    compute: str = setting(
        "float32",
        "Type of the products with the prototypes; bfloat16: cosines with others are wrong by usually 1e-4.",
        choices=("float32", "bfloat16"),
    )


@dataclasses.dataclass(frozen=True)
class NamedLossConfig:
    """What every section `[loss NAME]` has beside the settings of that loss, which the loss checks."""

    weight: float = setting(0.0, "Weight of this loss beside the head; 0: it is not in use.", 0)


# The term of margin-centre-face beside any head, as there, until a file says otherwise.
DEFAULT_LOSSES: Mapping[str, Mapping[str, Any]] = {"angular_centre": {"weight": 0.3}}
