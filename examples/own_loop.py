"""Records as tf.data in one's own training loop: the batches of a run are a function of datasets, seed and step.

python examples/own_loop.py
"""

import tempfile

from keras_face import backbones, losses, records, synthetic
from keras_face.backend import keras, tf
from keras_face.photos.images import standardise

with tempfile.TemporaryDirectory() as folder:
    synthetic.write_photos(f"{folder}/photos", num_people=6, photos_per_person=10)
    records.write_folder(f"{folder}/photos", f"{folder}/records", progress=False)
    dataset = records.open_dataset(f"{folder}/records")
    mixture = records.mix([dataset], [None])

    network = backbones.build("sphereface4", (32, 32, 3), embedding_size=32)
    head = losses.get("cosface", num_identities=dataset.num_identities, scale=16.0)
    head.build((None, 32))
    optimizer = keras.optimizers.SGD(0.05, 0.9)
    variables = network.trainable_variables + head.trainable_variables

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            embeddings = network(standardise(images), training=True)
            loss = tf.reduce_mean(head(embeddings, labels, training=True))  # one loss an example; the mean is yours
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    batches = records.train_stream(mixture, batch_size=20, seed=0, image_size=(32, 32))
    seen = [float(step(batch["images"], batch["labels"])) for batch in batches.take(30)]

    # A run that stopped after 10 steps goes on with the batches that it would have had.
    first = next(iter(records.train_stream(mixture, batch_size=20, seed=0, image_size=(32, 32), start_step=10)))
    eleventh = list(batches.take(11))[-1]
    same = bool(tf.reduce_all(first["images"] == eleventh["images"]))

print(f"{dataset.num_identities} people, {dataset.num_images} photos")
print(f"loss of the first five steps {sum(seen[:5]) / 5:.2f}, of the last five {sum(seen[-5:]) / 5:.2f}")
print(f"step 11 again: {same}")
