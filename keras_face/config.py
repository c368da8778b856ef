"""Reads an INI file into frozen, typed dataclasses, and writes it back: a field is a key, a class is a section.

Every key has a type, a range and a comment, given once, by `setting`. A section that is none of the fixed ones is a
training dataset and takes the keys of `DatasetConfig`; `[data] train` names those that are used.
"""

import configparser
import dataclasses
import difflib
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

QUICK_START = Path(__file__).with_name("quick_start.ini")

# Flags that users of margin-centre-face know, and the keys they stand for (--net_depth 50 is backbone lresnet50e_ir).
FAMILIAR_FLAGS = {
    "model_path": "model.model_path",
    "net_depth": "model.backbone",
    "image_size": "data.image_size",
    "batch_size": "training.batch_size",
    "epoch": "training.epochs",
    "lr_steps": "schedule.lr_steps",
    "momentum": "optimizer.momentum",
    "weight_decay": "optimizer.weight_decay",
    "centre_weight": "loss.centre_weight",
    "triplet_margin": "loss.triplet_margin",
    "triplet_weight": "loss.triplet_weight",
    "sample_per_class": "data.images_per_identity",
    "saver_maxkeep": "training.saver_maxkeep",
    "summary_interval": "training.summary_interval",
    "ckpt_interval": "training.ckpt_interval",
    "validate_interval": "training.validate_interval",
    "show_info_interval": "training.show_info_interval",
}


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

    train: tuple[str, ...] = setting((), "Training datasets: names of sections, or `synthetic` for drawn people.")
    image_size: tuple[int, ...] = setting((112, 112), "Height, width of the network's input in pixels.", 16, 1024)
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
    shift: float = setting(0.0, "Largest translation, as a share of the side.", 0, 0.5)
    scale: float = setting(0.0, "Largest zoom in or out, as a share.", 0, 0.5)
    rotation: float = setting(0.0, "Largest rotation in radians.", 0, math.pi)
    brightness: float = setting(0.0, "Largest change of brightness, as a share of full scale.", 0, 1)
    contrast: float = setting(0.0, "Largest change of contrast, as a share.", 0, 0.99)
    saturation: float = setting(0.0, "Largest change of saturation, as a share.", 0, 0.99)
    grey: float = setting(0.0, "Probability of a grey photo.", 0, 1)
    erase: float = setting(0.0, "Probability of erasing a random rectangle.", 0, 1)


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
    weight: float = setting(-1.0, "Share in the mixture, relative to the others; negative: by the number of photos.")
    train_list: str = setting("", "List file of photos, `path label` or `path,label` a line (margin-centre-face).")
    prefix: str = setting("", "Folder that the paths of train_list start from.")
    mxrec: str = setting("", "Refused: InsightFace's .rec files must become records first.")


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """Drawn people, where `synthetic` is asked for."""

    people: int = setting(200, "Drawn people to train on.", 2)
    photos_per_person: int = setting(20, "Drawn photos of each.", 2)
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


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The losses and their weights."""

    head: str = setting(
        "arcface", "Classification loss.", choices=("arcface", "cosface", "norm_softmax", "softmax", "none")
    )
    margin: float = setting(0.5, "Margin of the head: radians (arcface) or cosine (cosface).", 0, 1.5)
    scale: float = setting(64.0, "Scale of the head's cosines.", 1, 512)
    beyond_pi: str = setting(
        "cosine",
        "arcface where angle + margin > pi: cos - m sin m, the reflected branch, or nothing.",
        choices=("cosine", "reflect", "none"),
    )
    easy_margin: bool = setting(False, "arcface: margin only where the cosine is positive.")
    gradient: str = setting(
        "exact",
        "arcface: exact: the paper's formula; detached: arcface_torch's, backward of the plain cosine.",
        choices=("exact", "detached"),
    )
    centre_weight: float = setting(0.3, "Weight of the angular centre term, scale * (1 - cos); 0: none.", 0)
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
        "Model that is exported and measured: the last, or the best on lfw or ytf while training.",
        choices=("last", "lfw", "ytf"),
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
    """All that a run is told. Sections are fields; `datasets` holds the sections that are none of the others."""

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
    datasets: Mapping[str, DatasetConfig] = dataclasses.field(default_factory=dict)


SECTIONS: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Config) if field.name != "datasets"}


def load(path: str | os.PathLike | None = None, overrides: Iterable[str] = ()) -> Config:
    """Returns the configuration of a file with overrides on top.

    Args:
        path: INI file; None: every key at its default.
        overrides: `section.key=value` each; a later one wins.

    Raises:
        ValueError: Unknown section or key (with the nearest known one), value of a wrong type or out of its range, or
            keys that contradict each other; the message names file, section and key.
    """
    values: dict[str, dict[str, tuple[str, str]]] = {}
    if path is not None:
        for section, keys in _read(Path(path)).items():
            values[section] = {key: (value, str(path)) for key, value in keys.items()}
    for override in overrides:
        match = re.fullmatch(r"([^.=]+)\.([^.=]+)=(.*)", override, re.DOTALL)
        if not match:
            raise ValueError(f"--set: expected section.key=value, got {override!r}")
        section, key, value = (part.strip() for part in match.groups())
        values.setdefault(section, {})[key] = (value, "--set")
    sections, datasets = {}, {}
    for section, given in values.items():
        if section in SECTIONS:
            sections[section] = _section(SECTIONS[section], section, given)
        else:
            datasets[section] = _section(DatasetConfig, section, given)
    config = Config(**sections, datasets=datasets)
    _check(config, str(path or "the defaults"))
    return config


def write(config: Config, path: str | os.PathLike) -> None:
    """Writes a configuration as an INI file with comments, which `load` reads back to an equal one."""
    parts = []
    for name, section in [(name, getattr(config, name)) for name in SECTIONS] + sorted(config.datasets.items()):
        parts.append(f"[{name}]")
        for field in dataclasses.fields(section):
            parts += [
                f"# {field.metadata['comment']}",
                f"{field.name} = {_format(getattr(section, field.name))}".rstrip(),
            ]
        parts.append("")
    Path(path).write_text("\n".join(parts), encoding="utf-8")


def familiar(flag: str, value: str) -> str:
    """Returns the override that a flag of margin-centre-face stands for.

    Args:
        flag: A key of `FAMILIAR_FLAGS`.
        value: Its text on the command line.
    """
    if flag == "net_depth" and value.isdigit():
        value = f"lresnet{value}e_ir"
    return f"{FAMILIAR_FLAGS[flag]}={value}"


def _read(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: expected a configuration file, found none") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected an INI file: {' '.join(str(error).split())}") from None
    return {section: dict(parser[section]) for section in parser.sections()}


def _section(kind: type, section: str, keys: Mapping[str, tuple[str, str]]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for key, (text, source) in keys.items():
        if key not in fields:
            raise ValueError(f"{source}: [{section}] {key}: {_unknown(kind, section, key)}")
        values[key] = _parse(fields[key], text, f"{source}: [{section}] {key}")
    return kind(**values)


def _unknown(kind: type, section: str, key: str) -> str:
    """Returns what is wrong with a key, with the nearest known section or key."""
    if kind is DatasetConfig:
        near = difflib.get_close_matches(section, SECTIONS, 1, 0.6)
        hint = f"did you mean [{near[0]}]? " if near else ""
        return f"unknown section: {hint}Known: {', '.join(SECTIONS)}; a dataset's section has no key {key}"
    names = [field.name for field in dataclasses.fields(kind)]
    near = difflib.get_close_matches(key, names, 1, 0.5)
    homes = [name for name, other in SECTIONS.items() if key in {field.name for field in dataclasses.fields(other)}]
    hint = (
        f"it belongs in [{homes[0]}]" if homes else f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    )
    return f"unknown key; {hint}"


def _parse(field: dataclasses.Field, text: str, where: str) -> Any:
    """Returns the value of a key's text, checked against its type, its range and its choices."""
    text = _environment(text.strip(), where)
    kind = field.type
    if kind in (tuple[int, ...], tuple[float, ...], tuple[str, ...]):
        item = kind.__args__[0]
        value: Any = tuple(_scalar(item, part.strip(), where) for part in text.strip("[]()").split(",") if part.strip())
    else:
        value = _scalar(kind, text, where)
    low, high = field.metadata["range"]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not low <= number <= high:
            raise ValueError(f"{where}: expected a number in [{low}, {high}], got {number}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{where}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def _scalar(kind: Any, text: str, where: str) -> Any:
    if kind is str:
        return text
    try:
        if kind is bool:
            return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        expected = {int: "a whole number", float: "a number", bool: "True or False"}[kind]
        raise ValueError(f"{where}: expected {expected}, got {text!r}") from None


def _environment(text: str, where: str) -> str:
    """Returns the text with ${NAME} and ${NAME:-default} replaced from the environment, as a shell does."""

    def value(match: re.Match) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise ValueError(f"{where}: expected the environment variable {name} to be set, it is not")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _format(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _check(config: Config, source: str) -> None:
    """Raises ValueError where keys contradict each other."""
    for name in config.data.train:
        if name != "synthetic" and name not in config.datasets:
            near = difflib.get_close_matches(name, [*config.datasets, "synthetic"], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{source}: [data] train: expected names of dataset sections, there is no [{name}]{hint}")
    for name, dataset in config.datasets.items():
        if dataset.mxrec:
            raise ValueError(
                f"{source}: [{name}] mxrec: .rec files are not read in training; "
                "give records (written by tfrecords_tools) or photos instead"
            )
    if len(config.data.image_size) != 2:
        raise ValueError(f"{source}: [data] image_size: expected height, width, got {config.data.image_size}")
    training, loss = config.training, config.loss
    if training.steps and training.epochs:
        raise ValueError(
            f"{source}: [training] expected steps or epochs, got steps {training.steps} and epochs {training.epochs}"
        )
    if loss.head == "none" and (loss.centre_weight or not loss.triplet_weight):
        raise ValueError(
            f"{source}: [loss] head none: expected triplet_weight > 0 and centre_weight 0, "
            f"got {loss.triplet_weight} and {loss.centre_weight}"
        )
    if loss.triplet_weight and config.data.images_per_identity < 2:
        raise ValueError(
            f"{source}: [data] images_per_identity: expected 2 or more for the triplet loss, "
            f"got {config.data.images_per_identity}"
        )
    schedule = config.schedule
    if schedule.kind == "piecewise" and (
        len(schedule.lr_steps) != len(schedule.lr_factors) or list(schedule.lr_steps) != sorted(schedule.lr_steps)
    ):
        raise ValueError(
            f"{source}: [schedule] expected rising lr_steps and as many lr_factors, "
            f"got {schedule.lr_steps} and {schedule.lr_factors}"
        )
    if config.validation.best != "last" and not getattr(config, config.validation.best).enable:
        raise ValueError(
            f"{source}: [validation] best: expected an enabled set, [{config.validation.best}] enable is False"
        )
