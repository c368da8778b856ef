"""A folder of people's photos becomes a folder of the same photos with masks on the faces.

python -m tfrecords_tools.mask --source DIR --output_dir DIR
    [--landmarks aligned|detect|points5|points68] [--landmarks_file FILE]
    [--picture NAME|PNG|PNG,CSV]... [--colour NAME|#rrggbb|own]... [--pattern NAME|FILE]... [--seed N]
    [--blur PIXELS] [--nomatch_light] [--nomatch_noise] [--encoding jpg|png] [--sheet FILE] [--output_list FILE]
"""

import hashlib
from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.alignment import masked, masked_landmarks
from keras_face.alignment.detector import Detector
from keras_face.masks import colours, drawing, wardrobe
from keras_face.photos import encoding
from keras_face.photos.summary import Summary

SOURCE = flags.DEFINE_string("source", None, "Folder with one folder of photos per person.", required=True)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of masked twins to make or to continue.", required=True)
LANDMARKS = flags.DEFINE_enum(
    "landmarks", "aligned", ["aligned", "detect", "points5", "points68"],
    "Where the faces are: in crops aligned to ArcFace's template, found by MTCNN, or given by a file.",
)  # fmt: skip
LANDMARKS_FILE = flags.DEFINE_string("landmarks_file", None, "File of points5 or points68, a photo a line.")
PICTURE = flags.DEFINE_multi_string(
    "picture",
    drawing.names(),
    f"Mask pictures to draw from: {', '.join(drawing.names())}, an RGBA PNG, or PNG,CSV of anchors.",
)
COLOUR = flags.DEFINE_multi_string(
    "colour", wardrobe.COLOURS, f"Colours to draw from: {', '.join(colours.colours())}, #rrggbb, or own."
)
PATTERN = flags.DEFINE_multi_string(
    "pattern", wardrobe.PATTERNS, f"Patterns to draw from: {', '.join(colours.patterns())}, or a picture to print."
)
SEED = flags.DEFINE_integer("seed", 0, "Of the choice of masks.")
commands.pixel_limit_flag()
BLUR = flags.DEFINE_float("blur", 0.0, "Blur of the masks, standard deviation in pixels.", lower_bound=0)
MATCH_LIGHT = flags.DEFINE_bool("match_light", True, "Light the masks as the covered faces are lit.")
MATCH_NOISE = flags.DEFINE_bool("match_noise", True, "Give the masks the photos' grain.")
ENCODING = flags.DEFINE_enum("encoding", "jpg", encoding.ENCODINGS, "Of the masked twins.")
SHEET = flags.DEFINE_string("sheet", None, "PNG to write: originals above masked twins.")
OUTPUT_LIST = flags.DEFINE_string(
    "output_list", None, f"CSV of originals and twins; default: {masked.LIST} in the output."
)


def find_landmarks() -> masked_landmarks.Landmarks:
    """Returns what finds the faces, as the flags say."""
    file, given = LANDMARKS_FILE.value, LANDMARKS.value.startswith("points")
    if given and file:
        return masked_landmarks.Listed5(file) if LANDMARKS.value == "points5" else masked_landmarks.Listed68(file)
    if given or file:
        raise ValueError("expected --landmarks_file with --landmarks points5 or points68, and only with these")
    return masked_landmarks.aligned if LANDMARKS.value == "aligned" else masked_landmarks.Detected(Detector())


def main() -> Summary:
    find = find_landmarks()
    file = LANDMARKS_FILE.value and Path(LANDMARKS_FILE.value)
    digest = file and hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return masked.mask_folder(
        SOURCE.value,
        OUTPUT_DIR.value,
        find,
        wardrobe.Wardrobe(PICTURE.value, COLOUR.value, PATTERN.value),
        {"landmarks": LANDMARKS.value, "landmarks_digest": digest},
        seed=SEED.value,
        match_light=MATCH_LIGHT.value,
        match_noise=MATCH_NOISE.value,
        blur=BLUR.value,
        encoding=ENCODING.value,
        list_file=OUTPUT_LIST.value,
        sheet=SHEET.value,
    )


if __name__ == "__main__":
    commands.run(main, renamed={"template": "picture", "list": "output_list"})
