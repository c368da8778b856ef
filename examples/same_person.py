"""Are two photos of one person? Decided at a false accept rate that is stated, by a model that was measured.

python examples/same_person.py

With a run of your own, `model_path` is its folder, and the test people are others than it was trained on.
"""

import tempfile
from pathlib import Path

import keras_face
from keras_face import config, synthetic
from keras_face.evaluation import verify_people
from keras_face.measurement import embed_photos

FAR = 0.1  # one stranger in ten is taken for the same: 20 drawn people can measure no much smaller rate

with tempfile.TemporaryDirectory() as folder:
    run = Path(folder, "run")
    small = ["model.backbone=sphereface4", "data.image_size=40,40", "training.batch_size=64", "training.steps=150"]
    people = ["synthetic.people=40", "synthetic.photos_per_person=10"]
    learning = ["optimizer.name=adam", "optimizer.ema=0", "schedule.learning_rate=0.002", "loss arcface.margin=0.1"]
    untested = ["lfw.enable=False", "ytf.enable=False", "validation.baselines=False", "training.validate_interval=0"]
    keras_face.train(config.load(config.QUICK_START, [*small, *people, *learning, *untested, f"run.output_dir={run}"]))
    embed = keras_face.load_embedder(run)

    # People that the model has not seen, and what threshold lets one in ten pairs of strangers through.
    synthetic.write_photos(f"{folder}/test", num_people=20, photos_per_person=6, first_person=500)
    photos = sorted(Path(folder, "test").glob("*/*.jpg"))
    embeddings = embed_photos(embed, photos)
    measured = verify_people(embeddings, [photo.parent.name for photo in photos], num_folds=5)
    point = next(point for point in measured.result.tar_at_far if point.far == FAR)

    one, other, stranger = embeddings[0], embeddings[1], embeddings[-1]
    for name, second in (("another photo of the same person", other), ("a stranger", stranger)):
        similarity = float(one @ second)
        answer = "the same person" if similarity >= point.threshold else "two people"
        print(f"{name}: similarity {similarity:.2f}, threshold {point.threshold:.2f} at FAR {FAR}: {answer}")
    low, high = point.far_interval
    print(f"on new people the rate of this threshold is between {low:.2f} and {high:.2f}, 95 % sure")
