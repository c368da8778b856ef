"""Photos, or folders of them, become aligned crops of their faces, or records.

python -m tfrecords_tools.align --source DIR_OR_PHOTO --output_dir DIR [--write_records] [--template NAME]
    [--sheet FILE.png] [--faces largest|central|best|all] [--landmarks detect|none|FILE] [--encoding jpg|png]
    [--min_face_size PIXELS] [--thresholds T1,T2,T3] [--detect_max_pixels N] [--max_pixels N]
"""

from absl import flags

from keras_face import commands
from keras_face.alignment import aligner, crop_files, templates
from keras_face.alignment.detector import Detector
from keras_face.alignment.landmark_files import ListedLandmarks
from keras_face.photos import encoding

SOURCE = flags.DEFINE_string("source", None, "Folder of photos, of any depth, or one photo.", required=True)
OUTPUT = commands.output_flags()
WRITE_RECORDS = flags.DEFINE_bool(
    "write_records", False, "Write records, not crops; the source has a folder of photos per person."
)
TEMPLATE = commands.template_flag(
    "arcface", f"{', '.join(templates.names())}, or HEIGHTxWIDTH:x,y,x,y,x,y,x,y,x,y of eyes, nose, mouth."
)
FACES = flags.DEFINE_enum("faces", "largest", aligner.FACES, "Which of the faces found in a photo.")
LANDMARKS = flags.DEFINE_string(
    "landmarks", "detect", "detect; none: aligned already; or a file of five points a photo."
)
ENCODING = flags.DEFINE_enum("encoding", "jpg", encoding.ENCODINGS, "Of the crops.")
SHEET = flags.DEFINE_string("sheet", None, "PNG to write: 40 of the photos, and their crops.")
MIN_FACE_SIZE = flags.DEFINE_float("min_face_size", 20, "Detector: side of the smallest face, pixels.")
THRESHOLDS = flags.DEFINE_list("thresholds", ["0.6", "0.7", "0.8"], "Detector: least scores of its three networks.")
DETECT_MAX_PIXELS = flags.DEFINE_integer(
    "detect_max_pixels", 4_000_000, "Detector: photos of more pixels are shrunk to find their faces."
)


def main() -> str:
    output = OUTPUT()
    template = templates.template(TEMPLATE.value)
    make = aligner.Aligner(template, _landmarks(), FACES.value)
    if WRITE_RECORDS.value:
        summary = crop_files.align_records(SOURCE.value, output, make, ENCODING.value, SHEET.value)
    else:
        _check_unused(("num_shards", "beam_runner", "beam_option"), "is for --write_records")
        summary = crop_files.align_folder(SOURCE.value, output.path, make, ENCODING.value, SHEET.value)
    return f"{output.path}: {summary}"


def _landmarks() -> Detector | ListedLandmarks | None:
    if LANDMARKS.value == "detect":
        thresholds = [float(threshold) for threshold in THRESHOLDS.value]
        return Detector(MIN_FACE_SIZE.value, thresholds, max_pixels=DETECT_MAX_PIXELS.value)
    detection = ("faces", "min_face_size", "thresholds", "detect_max_pixels")
    _check_unused(detection, f"has no use with --landmarks={LANDMARKS.value}")
    return None if LANDMARKS.value == "none" else ListedLandmarks(LANDMARKS.value)


def _check_unused(names: tuple[str, ...], why: str) -> None:
    for name in names:
        if flags.FLAGS[name].present:
            raise ValueError(f"--{name} {why}")


if __name__ == "__main__":
    commands.run(main, renamed={"records": "write_records"})
