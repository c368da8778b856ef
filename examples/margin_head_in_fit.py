"""A margin head in one's own `model.fit`: any Keras network of crops, with ArcFace beside it.

python examples/margin_head_in_fit.py
"""

import tempfile

import keras_face
from keras_face import losses, records, synthetic
from keras_face.backend import keras

with tempfile.TemporaryDirectory() as folder:
    # Drawn people stand for yours: a folder of aligned crops for each.
    synthetic.write_photos(f"{folder}/photos", num_people=8, photos_per_person=12)
    records.write_folder(f"{folder}/photos", f"{folder}/records", progress=False)
    mixture = records.mix([records.open_dataset(f"{folder}/records")], [None])
    batches = records.train_stream(mixture, batch_size=32, seed=0, image_size=(48, 48))

    # Your network, from standardised images to embeddings that are not of unit length.
    network = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Conv2D(16, 3, 2, activation="relu"),
            keras.layers.Conv2D(32, 3, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, dtype="float32"),
        ]
    )
    head = losses.get("arcface", num_identities=mixture.num_identities, margin=0.2, scale=16.0)
    model = keras_face.FaceModel(network, {"arcface": head}, {"arcface": 1.0})
    model.compile(optimizer=keras.optimizers.Adam(2e-3))
    history = model.fit(batches, steps_per_epoch=20, epochs=4, verbose=0).history
    model.save(f"{folder}/model.keras")
    again = keras.models.load_model(f"{folder}/model.keras")

print(f"accuracy of the last epoch: {history['accuracy'][-1]:.2f}, of the first: {history['accuracy'][0]:.2f}")
print(f"the same after loading: {again.count_params() == model.count_params()}")
