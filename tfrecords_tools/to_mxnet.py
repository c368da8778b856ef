"""Records become train.rec, train.idx, train.lst and property, as arcface_torch reads them.

python -m tfrecords_tools.to_mxnet --records DIR --output_dir DIR2 [--noidentity_records] [--skip_unknown]
"""

from absl import flags

from keras_face import commands
from keras_face.formats import records_to_rec

RECORDS = flags.DEFINE_string("records", None, "Folder of records.", required=True)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to make; must not exist.", required=True)
IDENTITY_RECORDS = flags.DEFINE_bool(
    "identity_records", True, "Add InsightFace's records of who has which photos; NVIDIA's DALI needs a file without."
)
SKIP_UNKNOWN = flags.DEFINE_bool("skip_unknown", False, "Leave out sequences of unknown people.")


def main() -> str:
    summary = records_to_rec.write_rec(
        RECORDS.value, OUTPUT_DIR.value, identity_records=IDENTITY_RECORDS.value, skip_unknown=SKIP_UNKNOWN.value
    )
    return f"{OUTPUT_DIR.value}: {summary}"


if __name__ == "__main__":
    commands.run(main, renamed={"dataset": "records"})
