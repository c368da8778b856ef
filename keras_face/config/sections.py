"""The sections of a configuration: a class is a section, a field is a key with its type, range and comment."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


def setting(
    default: Any,
    comment: str,
    low: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """Returns a dataclass field with its comment and its range (inclusive) or its choices."""
    return dataclasses.field(default=default, metadata={"comment": comment, "range": (low, high), "choices": choices})


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where and how a run computes."""

    output_dir: str = setting("output/run", "Folder of everything a run writes; a run started again there goes on.")
    seed: int = setting(0, "Seed of weights, order and augmentation.", 0, 2**31 - 1)
    strategy: str = setting(
        "mirrored",
        "mirrored: all GPUs of this machine, or its CPU; one_device; multi_worker: the machines that TF_CONFIG names.",
        choices=("mirrored", "one_device", "multi_worker"),
    )
    logical_cpus: int = setting(0, "Logical CPU devices to stand for as many GPUs; 0: the machine's devices.", 0, 64)
    precision: str = setting(
        "float32",
        "Compute type; weights, losses and embeddings stay float32.",
        choices=("float32", "bfloat16", "float16"),
    )
    deterministic: bool = setting(False, "Bit-identical operations on one device, slower (op determinism).")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is trained on, and how it is read."""

    train: tuple[str, ...] = setting(
        (),
        "Training datasets: names of sections, `synthetic` for drawn people, `synthetic_tracks` for drawn tracks of "
        "unknown people.",
    )
    image_size: tuple[int, ...] = setting((112, 112), "Height, width of the network's input in pixels.", 16, 1024)
    crop_from: tuple[int, ...] = setting(
        (),
        "Height, width that training photos are fitted to instead, for a random window of image_size; empty: none.",
        16,
        1024,
    )
    balance: bool = setting(False, "Every identity equally often, instead of every photo.")
    images_per_identity: int = setting(
        0, "0: every photo is an example; K: batches of batch_size / K face sets with K photos each.", 0, 1024
    )
    shuffle_buffer: int = setting(
        8192, "Photos that are shuffled together; up to three times as many are held, encoded, for each dataset.", 1
    )


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of each training photo; see `data.augment.Augmentation`."""

    flip: float = setting(0.5, "Probability of a horizontal mirror.", 0, 1)
    move_probability: float = setting(1.0, "Probability that shift and scale are applied.", 0, 1)
    shift: float = setting(0.0, "Largest translation, as a share of the side.", 0, 0.5)
    scale: float = setting(0.0, "Largest zoom in or out, as a share.", 0, 0.5)
    rotation_probability: float = setting(1.0, "Probability that rotation is applied.", 0, 1)
    rotation: float = setting(0.0, "Largest rotation in radians.", 0, math.pi)
    colour_probability: float = setting(
        1.0, "Probability that brightness, contrast, saturation and hue are applied.", 0, 1
    )
    brightness: float = setting(0.0, "Largest change of brightness, as a share of full scale.", 0, 1)
    contrast: float = setting(0.0, "Largest change of contrast, as a share.", 0, 0.99)
    saturation: float = setting(0.0, "Largest change of saturation, as a share.", 0, 0.99)
    hue: float = setting(0.0, "Largest turn of the colour circle, as a share of it.", 0, 0.5)
    grey: float = setting(0.0, "Probability of a grey photo.", 0, 1)
    rand_augment_probability: float = setting(1.0, "Probability of RandAugment, where it has operations.", 0, 1)
    rand_augment: int = setting(0, "Operations of RandAugment, one after the other; 0: none.", 0, 16)
    rand_augment_magnitude: float = setting(9.0, "Strength of these operations.", 0, 10)
    crop: float = setting(0.0, "Probability that all but a random rectangle is black.", 0, 1)
    crop_area: float = setting(0.2, "Smallest share of the photo that such a crop leaves.", 0.02, 1)
    low_resolution: float = setting(0.0, "Probability that a photo is scaled down and up again.", 0, 1)
    low_resolution_scale: float = setting(0.2, "Smallest scale of that.", 0.05, 1)
    blur: float = setting(0.0, "Probability of a Gaussian blur.", 0, 1)
    blur_sigma: float = setting(2.0, "Its largest standard deviation in pixels.", 0.1, 16)
    jpeg: float = setting(0.0, "Probability of a further JPEG compression.", 0, 1)
    jpeg_quality: int = setting(30, "Its lowest quality.", 1, 100)
    erase: float = setting(0.0, "Probability of erasing a random rectangle.", 0, 1)
    erase_area: float = setting(0.33, "Largest share of the photo that is erased.", 0.02, 1)
    mask: float = setting(0.0, "Probability of a drawn face mask; the crops must be aligned.", 0, 1)


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """A training dataset, in a section of the user's own name."""

    records: str = setting(
        "", "Folder of records; written first from `photos` or `train_list` where it does not exist."
    )
    photos: str = setting("", "Folder with one folder of aligned photos per person.")
    people: str = setting("", "Text file of the people to use, LFW's people format or a name a line; empty: all.")
    min_photos: int = setting(1, "People with fewer photos are left out.", 1)
    set_size: int = setting(1, "Photos of one person in a record, at most.", 1, 1024)
    weight: float = setting(
        -1.0, "Share in the mixture, relative to the others; negative: by photos, all tracks as much as all people."
    )
    train_list: str = setting("", "List file of photos, `path label` or `path,label` a line (margin-centre-face).")
    prefix: str = setting("", "Folder that the paths of train_list start from.")
    mxrec: str = setting("", "Refused: InsightFace's .rec files must become records first.")


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """Drawn people, where `synthetic` is asked for, and drawn tracks, where `synthetic_tracks` is."""

    weight: float = setting(
        -1.0, "Share of the drawn people in the mixture; that of the tracks is in [synthetic_tracks]."
    )
    people: int = setting(200, "Drawn people to train on.", 2)
    photos_per_person: int = setting(20, "Drawn photos of each.", 2)
    tracks: int = setting(200, "Drawn tracks of unknown people, another person in each.", 1)
    frames_per_track: int = setting(8, "Frames of each.", 1)
    difficulty: float = setting(0.5, "Spread of pose, light and the rest, and likeness of the people.", 0, 1)
    test_difficulty: float = setting(
        0.5, "The same for the drawn LFW-style and YTF-style sets, of further people.", 0, 1
    )


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
    """A trained model that has its say."""

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


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The losses and their weights."""

    head: str = setting("arcface", "Classification loss: a name of docs/losses.md, or none.")
    margin: float = setting(
        -1.0, "Its margin, in its unit: radians (arcface), cosine (cosface); negative: its own default.", -1, 10
    )
    scale: float = setting(-1.0, "Scale of its cosines; negative: its own default.", -1, 1024)
    centre_weight: float = setting(0.3, "Weight of the angular centre term, 64 * (1 - cos); 0: none.", 0)
    triplet_weight: float = setting(0.0, "Weight of the batch-hard triplet loss; 0: none.", 0)
    triplet_margin: float = setting(0.3, "Its margin, a distance of unit embeddings.", 0, 2)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients move the weights."""

    name: str = setting("sgd", "Optimizer.", choices=("sgd", "adam", "adamw", "sgdw", "lamb"))
    momentum: float = setting(0.9, "Momentum of sgd and sgdw.", 0, 0.9999)
    nesterov: bool = setting(False, "Nesterov's form of the momentum.")
    weight_decay: float = setting(
        1e-4, "Decay of kernels, prototypes, gammas and PReLU slopes (not of biases and betas).", 0, 1
    )
    stage_decay: float = setting(
        1.0,
        "Learning rate of each stage of the network, as a share of that of the stage after it; 1: one for all.",
        0,
        1,
    )
    clip_norm: float = setting(0.0, "Largest norm of the whole gradient; 0: any.", 0)
    accumulation_steps: int = setting(
        1, "Parts that a batch is computed in, one after the other, to save memory.", 1, 4096
    )
    ema: float = setting(
        0.0, "Decay of the moving average of the network's weights, which is exported; 0: none.", 0, 0.99999
    )


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate of each step."""

    kind: str = setting(
        "piecewise",
        "Course of the learning rate after the warm-up.",
        choices=("piecewise", "cosine", "polynomial", "constant"),
    )
    learning_rate: float = setting(1e-3, "Learning rate after the warm-up.", 0)
    warmup_steps: int = setting(0, "Steps of linear warm-up from 0.", 0)
    lr_steps: tuple[int, ...] = setting(
        (40000, 60000, 80000), "piecewise: steps of a change, for batches of 512; scaled.", 1
    )
    lr_factors: tuple[float, ...] = setting(
        (0.5, 0.3, 0.1), "piecewise: learning rate from there on, as shares of learning_rate.", 0
    )
    end_learning_rate: float = setting(0.0, "cosine, polynomial: learning rate at the last step.", 0)
    power: float = setting(2.0, "polynomial: its power.", 0.01, 16)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How much is trained, and what happens how often."""

    batch_size: int = setting(
        512, "Examples per step over all replicas; a multiple of replicas * accumulation_steps.", 1
    )
    steps: int = setting(0, "Steps to train; 0: by epochs.", 0)
    epochs: float = setting(0.0, "Passes over the photos to train; 0: by steps.", 0)
    show_info_interval: int = setting(20, "Steps between updates of the console line and scalars.", 1)
    summary_interval: int = setting(300, "Steps between histograms and image sheets in TensorBoard.", 1)
    validate_interval: int = setting(2000, "Steps between validations; 0: only after the last step.", 0)
    ckpt_interval: int = setting(2000, "Steps between checkpoints.", 1)
    saver_maxkeep: int = setting(3, "Newest checkpoints that are kept, besides the best.", 1)


@dataclasses.dataclass(frozen=True)
class ValidationConfig:
    """How a model is measured, and which one is kept."""

    best: str = setting(
        "last",
        "Model that is exported and measured: the last; the best on lfw or on ytf while training; either: the last "
        "that was the best so far on one of them.",
        choices=("last", "lfw", "ytf", "either"),
    )
    flip: bool = setting(True, "Embed each photo and its mirror image.")
    baselines: bool = setting(False, "Measure grey pixels and the untrained network beside the trained one.")


@dataclasses.dataclass(frozen=True)
class LfwConfig:
    """A test set of pairs of photos."""

    enable: bool = setting(False, "Measure on LFW-style pairs.")
    npdata: str = setting("", "Packed pairs: margin-centre-face's lfw.np or an InsightFace .bin.")
    pairs: str = setting("", "Pairs file in LFW's format; empty: pairs.txt in prefix.")
    prefix: str = setting("", "Folder of aligned photos, Name/Name_0001.jpg; or `synthetic`.")


@dataclasses.dataclass(frozen=True)
class YtfConfig:
    """A test set of pairs of tracks."""

    enable: bool = setting(False, "Measure on YTF-style pairs of tracks.")
    pairs: str = setting(
        "", "Pairs of frames, `flag,path,path` a line, for validation while training; empty: whole tracks."
    )
    prefix: str = setting("", "Folder of aligned frames, Name/number/*.jpg; or `synthetic`.")
    splits: str = setting("", "YTF's splits file.")
    ytf_error: str = setting("", "List of wrong tracks, Name/number a line; empty: none.")
    max_frames: int = setting(0, "Frames of a track that are used, evenly spaced; 0: all.", 0)


@dataclasses.dataclass(frozen=True)
class Config:
    """All that a run is told. Sections are fields.

    Attributes:
        losses: The sections `[loss NAME]`: settings of a loss that is chosen in [loss], or of a further one, which its
            `weight` adds.
        datasets: The sections that are none of the others.
    """

    run: RunConfig = RunConfig()
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    synthetic: SyntheticConfig = SyntheticConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()
    validation: ValidationConfig = ValidationConfig()
    lfw: LfwConfig = LfwConfig()
    ytf: YtfConfig = YtfConfig()
    teacher: TeacherConfig = TeacherConfig()
    latse: LatseConfig = LatseConfig()
    losses: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    datasets: Mapping[str, DatasetConfig] = dataclasses.field(default_factory=dict)


SECTIONS: dict[str, Any] = {
    field.name: field.type for field in dataclasses.fields(Config) if field.name not in ("losses", "datasets")
}
