"""Residual networks beside PyTorch's layers, put together anew from the papers, with the weights of ours."""

import numpy as np
import pytest

from keras_face import backbones
from keras_face.backend import keras, tf

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytestmark = pytest.mark.peers

UNITS = (2, 2, 2, 2)


class Theirs:
    """iresnet18's forward pass by torch.nn.functional, in double precision, on the variables of a Keras model."""

    def __init__(self, model, epsilon, training):
        self.model, self.epsilon, self.training = model, epsilon, training
        self.tensors = {
            variable.name.split(":")[0]: torch.tensor(
                self.in_order(variable.numpy()).astype(float), requires_grad=variable.trainable
            )
            for variable in model.variables
        }

    @staticmethod
    def in_order(values):
        """Kernels with the outputs first, as torch has them."""
        return values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T if values.ndim == 2 else values

    def convolve(self, x, name, strides=1):
        kernel = self.tensors[f"{name}/kernel"]
        return torch.nn.functional.conv2d(x, kernel, stride=strides, padding=kernel.shape[2] // 2)

    def normalise(self, x, name):
        part = {key: self.tensors.get(f"{name}/{key}") for key in ("moving_mean", "moving_variance", "gamma", "beta")}
        return torch.nn.functional.batch_norm(x, *part.values(), self.training, momentum=0.1, eps=self.epsilon)

    def activate(self, x, name):
        slopes = self.tensors.get(f"{name}_prelu/alpha")
        return torch.relu(x) if slopes is None else torch.nn.functional.prelu(x, slopes.flatten())

    def unit(self, x, strides, name):
        shortcut = x
        if strides == 2:
            shortcut = self.normalise(self.convolve(x, f"{name}_shortcut_conv", 2), f"{name}_shortcut_norm")
        x = self.convolve(self.normalise(x, f"{name}_norm1"), f"{name}_conv1")
        x = self.activate(self.normalise(x, f"{name}_norm2"), name)
        return shortcut + self.normalise(self.convolve(x, f"{name}_conv2", strides), f"{name}_norm3")

    def __call__(self, images):
        x = torch.tensor(images.transpose(0, 3, 1, 2).astype(float))
        x = self.activate(self.normalise(self.convolve(x, "stem_conv"), "stem_norm"), "stem")
        for stage, units in enumerate(UNITS, start=1):
            for number in range(1, units + 1):
                x = self.unit(x, 2 if number == 1 else 1, f"stage{stage}_unit{number}")
        x = self.normalise(x, "final_norm").permute(0, 2, 3, 1).flatten(1)  # Keras flattens channels last
        x = x @ self.tensors["embedding_dense/kernel"].T + self.tensors["embedding_dense/bias"]
        return self.normalise(x, "embedding_norm")


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name, epsilon", [("iresnet18", 1e-5), ("latse_resnet18", 2e-5)])
def test_embeddings_and_gradients_are_those_of_torch(name, epsilon, training):
    keras.utils.set_random_seed(0)
    model = backbones.build(name, (32, 32, 3), embedding_size=16, width=0.125, dropout=0.0)
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if "kernel" not in variable.name:  # the start, all 0 or 1, would hide what is exchanged
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    images = generator.uniform(-1, 1, (6, 32, 32, 3)).astype(np.float32)
    theirs = Theirs(model, epsilon, training)
    with tf.GradientTape() as tape:
        embeddings = model(images, training=training)
        ours = tf.reduce_mean(tf.square(embeddings - 1.0))
    expected = theirs(images)
    torch.mean((expected - 1.0) ** 2).backward()
    outputs = expected.detach().numpy()
    np.testing.assert_allclose(embeddings, outputs, rtol=1e-3, atol=1e-4 * np.abs(outputs).max())
    names = [variable.name.split(":")[0] for variable in model.trainable_variables]
    gradients = dict(zip(names, tape.gradient(ours, model.trainable_variables), strict=True))
    wanted = {name: theirs.tensors[name].grad.numpy() for name in gradients}
    largest = max(np.abs(gradient).max() for gradient in wanted.values())
    for name, gradient in gradients.items():  # that of a bias before a normalisation is rounding alone
        near = 2e-3 * max(np.abs(wanted[name]).max(), 1e-2 * largest)
        np.testing.assert_allclose(theirs.in_order(gradient.numpy()), wanted[name], atol=near, err_msg=name)
    if training:
        for variable in model.non_trainable_variables:  # the moving statistics, n / (n - 1) included
            moved = theirs.tensors[variable.name.split(":")[0]].numpy()
            np.testing.assert_allclose(variable.numpy(), moved, rtol=1e-4, atol=1e-5, err_msg=variable.name)
