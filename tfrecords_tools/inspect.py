"""The data doctor: tells what is wrong with datasets, and the command that mends it, before a day of training.

python -m tfrecords_tools.inspect --records DIR [--records DIR2 ...] [--source DIR] [--model_path MODEL]
    [--num_identities N or RUN] [--min_photos N] [--max_distance D] [--detected_photos N] [--output_dir DIR]

The exit status is 1 if anything would break or spoil training, else 0.
"""

from absl import flags

from keras_face import commands
from keras_face.export import load_embedder
from keras_face.inspection import doctor, findings, sources

commands.pixel_limit_flag()
RECORDS = flags.DEFINE_multi_string("records", [], "Folder of records; can be repeated, in the order of training.")
SOURCE = flags.DEFINE_multi_string("source", [], "Folder with a folder of photos per person, before it is written.")
MODEL_PATH = flags.DEFINE_string("model_path", None, "Exported model that compares the people of two datasets.")
NUM_IDENTITIES = flags.DEFINE_string("num_identities", None, "Of the head to train: a number, or a run's folder.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", "inspection", "Folder of the report; an earlier report is replaced.")
MIN_PHOTOS = flags.DEFINE_integer("min_photos", 2, "People with fewer photos are named.", lower_bound=1)
MAX_DISTANCE = flags.DEFINE_float(
    "max_distance", 0.15, "Of near duplicates: 0 finds exact ones only, from 0.19 on two shots are taken for one.", 0, 1
)
DETECTED_PHOTOS = flags.DEFINE_integer(
    "detected_photos",
    1024,
    "Photos of each dataset in which a detector looks where the face is; 0: none.",
    lower_bound=0,
)


def main() -> int:
    datasets: list[sources.Photos] = [sources.RecordPhotos(path) for path in RECORDS.value]
    datasets += [sources.FolderPhotos(path) for path in SOURCE.value]
    if not datasets:
        raise ValueError("expected --records or --source, got neither")
    if len({photos.path.resolve() for photos in datasets}) < len(datasets):
        raise ValueError("expected each dataset once, got one of them again")
    num_identities = None if NUM_IDENTITIES.value is None else doctor.head_size(NUM_IDENTITIES.value, datasets)
    folder = findings.new_folder(OUTPUT_DIR.value)
    report = doctor.inspect(
        datasets,
        folder,
        load_embedder(MODEL_PATH.value) if MODEL_PATH.value else None,
        num_identities,
        MIN_PHOTOS.value,
        MAX_DISTANCE.value,
        DETECTED_PHOTOS.value,
        progress=True,
    )
    commands.show(findings.write_report(report, folder))
    return report.status


if __name__ == "__main__":
    commands.run(main)
