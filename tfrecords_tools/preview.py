"""Writes a sheet of what the network will see: each plain crop, and beside it what augmentation makes of it.

python -m tfrecords_tools.preview --records DIR --output FILE.png --set augmentation.blur=0.5
python -m tfrecords_tools.preview --config FILE.ini --output FILE.png [--set section.key=value] [--rows N]
    [--columns N] [--seed N]

With --config, the photos are those of its [data] train; records that do not exist yet are written first, as training
would. With --records, they are those of that folder, at their own size unless data.image_size is given.
"""

from pathlib import Path

from absl import flags

from keras_face import commands, config
from keras_face.augmentation import augmentation
from keras_face.records import mixture, prepare, preview, writing

commands.pixel_limit_flag()
RECORDS = flags.DEFINE_string("records", None, "Folder of records to take the photos from.")
CONFIG = flags.DEFINE_string("config", None, "INI file of the training: its photos and its [augmentation].")
SET = flags.DEFINE_multi_string("set", [], "section.key=value, over the file; may be given again.")
OUTPUT = flags.DEFINE_string("output", None, "PNG to write.", required=True)
ROWS = flags.DEFINE_integer("rows", 8, "Photos.", lower_bound=1)
COLUMNS = flags.DEFINE_integer("columns", 8, "Crops of each; the first is plain.", lower_bound=2)
SEED = flags.DEFINE_integer("seed", 0, "Of the choice of photos and of the augmentations.", lower_bound=0)


def main() -> str:
    if RECORDS.value is None and CONFIG.value is None:
        raise ValueError("expected --records or --config, got neither")
    settings = config.load(CONFIG.value, SET.value)
    image_size = settings.data.image_size
    if RECORDS.value is not None:
        datasets, weights = [writing.open_dataset(RECORDS.value)], [-1.0]
        if CONFIG.value is None and not any(value.strip().startswith("data.image_size") for value in SET.value):
            image_size = datasets[0].image_size
    else:
        datasets, weights = prepare.training_datasets(
            settings.data.train,
            settings.datasets,
            settings.synthetic,
            settings.run.seed,
            Path(settings.run.output_dir),
            settings.data.images_per_identity,
        )
    preview.write_preview(
        OUTPUT.value,
        mixture.mix(datasets, weights, settings.data.balance),
        augmentation.Augmentation.of(settings.augmentation),
        image_size,
        crop_from=settings.data.crop_from or None,
        rows=ROWS.value,
        columns=COLUMNS.value,
        seed=SEED.value,
    )
    return f"{OUTPUT.value}: {ROWS.value} photos of {', '.join(dataset.name for dataset in datasets)}"


if __name__ == "__main__":
    commands.run(main)
