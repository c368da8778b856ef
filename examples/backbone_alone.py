"""A backbone alone: from uint8 RGB crops to unit embeddings, with the standardisation that all networks here expect.

python examples/backbone_alone.py
"""

import numpy as np

from keras_face import backbones
from keras_face.backend import tf
from keras_face.photos.images import standardise

network = backbones.build("mobilefacenet", input_shape=(112, 112, 3), embedding_size=128)
crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)

images = standardise(crops)  # (pixels - 127.5) / 128, float32: about -1 to 1
embeddings = network(images, training=False)  # float32 [4, 128], not of unit length
unit = tf.linalg.l2_normalize(embeddings, axis=1)

print(f"pixels from {images.numpy().min():.3f} to {images.numpy().max():.3f}")
print(f"embeddings {embeddings.shape}, lengths 1 after normalising: {np.allclose(tf.norm(unit, axis=1), 1, atol=1e-5)}")
