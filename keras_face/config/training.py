"""The sections about a run: where, how long, how the weights move, and which model is kept."""

import dataclasses

from keras_face.config.setting import setting


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
    jit: str = setting(
        "auto",
        "What XLA compiles. True: each replica's whole step; network: the network alone; auto: True on GPUs, not on a "
        "CPU. What cannot be compiled is said, and less is compiled.",
        choices=("auto", "True", "network", "False"),
    )
    gpu_memory_limit: int = setting(0, "MiB that are taken of each GPU's memory; 0: as many as are needed.", 0)
    tensor_float_32: bool = setting(
        False, "Matrix products and convolutions of float32 numbers rounded to 10 bits, on GPUs that are faster so."
    )
    plugins: tuple[str, ...] = setting(
        (), "Modules of your own that are imported first, for the losses and networks that they register."
    )
    deterministic: bool = setting(False, "Bit-identical operations on one device, slower (op determinism).")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How gradients move the weights."""

    name: str = setting("sgd", "Optimizer.", choices=("sgd", "adam", "adamw", "sgdw", "lamb"))
    momentum: float = setting(0.9, "Momentum of sgd and sgdw.", 0, 0.9999)
    momentum_form: str = setting(
        "velocity",
        "Momentum of sgd and sgdw; velocity: of gradients, times the present learning rate, as in torch and TensorFlow "
        "1; keras: of steps, each at the rate of its time, as in Keras, Caffe and MXNet.",
        choices=("velocity", "keras"),
    )
    nesterov: bool = setting(False, "Nesterov's look ahead, with either form.")
    weight_decay: float = setting(1e-4, "Weight decay.", 0, 1)
    decay_scope: str = setting(
        "weights",
        "What decays; weights: kernels, prototypes, gammas and PReLU slopes; all: biases and betas too, as in torch.",
        choices=("weights", "all"),
    )
    stage_decay: float = setting(
        1.0,
        "Learning rate of each stage of the network, as a share of that of the stage after it; 1: one for all.",
        0,
        1,
    )
    clip_norm: float = setting(0.0, "Largest norm of the gradient of clip_scope; 0: any.", 0)
    clip_scope: str = setting(
        "all",
        "Whose gradient clip_norm holds for; backbone: the network's, as in arcface_torch; all: that of network and "
        "losses together.",
        choices=("all", "backbone"),
    )
    clip_value: float = setting(
        0.0, "Largest size of each number of the gradient, clamped before clip_norm; 0: any.", 0
    )
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
    steps_per_call: int = setting(1, "Steps that are made in one go: more for small networks on GPUs.", 1, 1000)
    show_info_interval: int = setting(
        20, "Steps between updates of the console line and scalars; on GPUs the losses are read this often.", 1
    )
    summary_interval: int = setting(300, "Steps between histograms and image sheets in TensorBoard.", 1)
    validate_interval: int = setting(2000, "Steps between validations; 0: only after the last step.", 0)
    ckpt_interval: int = setting(2000, "Steps between checkpoints.", 1)
    saver_maxkeep: int = setting(3, "Newest checkpoints that are kept, besides the best.", 1)


@dataclasses.dataclass(frozen=True)
class ValidationConfig:
    """How a model is measured, and which one is kept."""

    best: str = setting(
        "last",
        "Model that is exported and measured: the last; the best on lfw, on ytf or on the people held_out while "
        "training; either: the last that was the best so far on one of these.",
        choices=("last", "lfw", "ytf", "held_out", "either"),
    )
    flip: bool = setting(True, "Embed each photo and its mirror image.")
    baselines: bool = setting(False, "Measure grey pixels and the untrained network beside the trained one.")
