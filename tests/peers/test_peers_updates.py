"""Whole updates beside arcface_torch's: network, head, clipping, decay, momentum and schedule, in PyTorch."""

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf
from keras_face.config import OptimizerConfig, ScheduleConfig
from keras_face.training import optimizers
from keras_face.training.model import FaceModel

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytestmark = pytest.mark.peers

SIZE, EMBEDDING, PEOPLE, BATCH, STEPS, RATE = 8, 6, 5, 16, 20, 0.05
SCHEDULES = {
    "constant": ({"kind": "constant"}, lambda made: torch.optim.lr_scheduler.ConstantLR(made, 1.0)),
    "a step": (
        {"kind": "piecewise", "lr_steps": (8,), "lr_factors": (0.1,)},
        lambda made: torch.optim.lr_scheduler.MultiStepLR(made, [8], 0.1),
    ),
    "polynomial": (
        {"kind": "polynomial", "power": 2.0},
        lambda made: torch.optim.lr_scheduler.PolynomialLR(made, STEPS, 2.0),
    ),
    "cosine": ({"kind": "cosine"}, lambda made: torch.optim.lr_scheduler.CosineAnnealingLR(made, STEPS)),
    "warm-up": (
        {"kind": "polynomial", "power": 1.0, "warmup_steps": 10},
        lambda made: torch.optim.lr_scheduler.LambdaLR(
            made, lambda step: max(step, 1) / 10 if step <= 10 else 1 - (step - 10) / 10
        ),
    ),
}
OPTIMIZERS = {
    "sgd": lambda groups, decay: torch.optim.SGD(groups, RATE, momentum=0.9, weight_decay=decay),
    "nesterov": lambda groups, decay: torch.optim.SGD(groups, RATE, momentum=0.9, nesterov=True, weight_decay=decay),
    "adamw": lambda groups, decay: torch.optim.AdamW(groups, RATE / 10, weight_decay=decay),
}
DECAY, LIMIT = 0.02, 0.3


def batch(step):
    generator = np.random.default_rng(step)
    return generator.integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8), generator.integers(0, PEOPLE, BATCH)


def start():
    keras.utils.set_random_seed(0)
    convolution = keras.layers.Conv2D(5, 3, strides=2, activation="relu", input_shape=(SIZE, SIZE, 3))
    backbone = keras.Sequential([convolution, keras.layers.Flatten(), keras.layers.Dense(EMBEDDING)])
    head = losses.get(
        "arcface", num_identities=PEOPLE, scale=16.0, gradient="detached", beyond_pi="none", initializer=0.3
    )
    head.build((None, EMBEDDING))
    return backbone, head


def ours(name, schedule):
    backbone, head = start()
    settings = {"name": "adamw"} if name == "adamw" else {"nesterov": name == "nesterov"}
    config = OptimizerConfig(weight_decay=DECAY, decay_scope="all", **settings)
    rate = RATE / 10 if name == "adamw" else RATE
    rates = optimizers.schedule(ScheduleConfig(learning_rate=rate, **schedule), STEPS, batch_size=512)
    trained = [*backbone.trainable_variables, *head.trainable_variables]
    made, left = optimizers.optimizer(config, rates, trained)
    model = FaceModel(
        backbone,
        {"arcface": head},
        {"arcface": 1.0},
        weight_decay=left,
        decay_scope="all",
        clip_norm=LIMIT,
        clip_scope="backbone",
        pixel_divisor=127.5,
    )
    model.build((None, SIZE, SIZE, 3))
    model.compile(optimizer=made)
    made.build(model.trainable_variables)
    step = tf.function(model.update)
    begin = [variable.numpy() for variable in trained]
    for number in range(STEPS):
        images, labels = batch(number)
        step({"images": tf.constant(images), "labels": tf.constant(labels)})
    return begin, [variable.numpy() for variable in trained]


def theirs(name, scheduler, begin):
    kernel, bias, dense, dense_bias, prototypes = (
        torch.tensor(values.astype(float), requires_grad=True) for values in begin
    )
    network = [kernel, bias, dense, dense_bias]
    made = OPTIMIZERS[name]([{"params": network}, {"params": [prototypes]}], DECAY)
    rates = scheduler(made)
    clipped = 0
    for number in range(STEPS):
        images, labels = batch(number)
        labels = torch.tensor(labels)
        pixels = (torch.tensor(images.astype(float)).permute(0, 3, 1, 2) - 127.5) / 127.5
        maps = torch.relu(torch.nn.functional.conv2d(pixels, kernel.permute(3, 2, 0, 1), bias, stride=2))
        embeddings = maps.permute(0, 2, 3, 1).flatten(1) @ dense + dense_bias
        cosine = torch.nn.functional.normalize(embeddings) @ torch.nn.functional.normalize(prototypes).T
        with torch.no_grad():
            added = (cosine.acos() + 0.5).cos() - cosine
        logits = 16.0 * (cosine + added * torch.nn.functional.one_hot(labels, PEOPLE))
        made.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        clipped += torch.nn.utils.clip_grad_norm_(network, LIMIT).item() > LIMIT
        made.step()
        rates.step()
    assert clipped > 5
    return [values.detach().numpy() for values in (*network, prototypes)]


@pytest.mark.parametrize(
    "name, schedule",
    [*(("sgd", schedule) for schedule in SCHEDULES), ("nesterov", "a step"), ("adamw", "warm-up")],
)
def test_twenty_updates_end_where_those_of_torch_do(name, schedule):
    settings, scheduler = SCHEDULES[schedule]
    begin, found = ours(name, settings)
    expected = theirs(name, scheduler, begin)
    apart, way = (
        np.linalg.norm(np.concatenate([(a - b).ravel() for a, b in zip(left, right, strict=True)]))
        for left, right in ((found, expected), (expected, begin))
    )
    assert apart <= 3e-3 * way
    assert way > 0.1
