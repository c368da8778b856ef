"""Videos, or folders of frames, become records of tracks: what one face shows while it can be followed.

    python -m tfrecords_tools.write_sequences --source PATH --output_dir DIR [--frames_per_second N] [--sheet FILE]
    python -m tfrecords_tools.write_sequences --source PATH --output_dir DIR --identity_list FILE --as_folders

Which people: [--identities_from none|folders] [--alone]. Which faces and tracks: [--stride N] [--min_face_size PIXELS]
[--min_score S] [--min_overlap S] [--min_similarity S] [--max_gap N] [--min_difference S] [--min_frames N]
[--max_frames N] [--quality Q].

Tracks of people who are not known get the labels -1, -2, ... and can be mixed with a dataset of identities.
"""

from absl import flags

from keras_face import commands
from keras_face.alignment.templates import template
from keras_face.sequences import tracks, videos, write

_DEFAULTS = tracks.Settings()

SOURCE = flags.DEFINE_string(
    "source", None, "A video; or a folder: every video file and folder of frames in it is one.", required=True
)
OUTPUT = commands.output_flags()
STRIDE = flags.DEFINE_integer("stride", 1, "Look at one frame in this many.", lower_bound=1)
FRAMES_PER_SECOND = flags.DEFINE_float(
    "frames_per_second", None, "Frames looked at in a second of the video, instead of a stride."
)
IDENTITY_LIST = flags.DEFINE_string(
    "identity_list", None, "File of lines `path,identity`: whose the largest face of a video is."
)
IDENTITIES_FROM = flags.DEFINE_enum(
    "identities_from", "none", write.IDENTITIES_FROM, "folders: the folder in the source says whose video it is."
)
ALONE = flags.DEFINE_bool(
    "alone", False, "Known people are in all shots of their videos; otherwise the shot of their largest face is taken."
)
TEMPLATE = commands.template_flag("arcface", "What the crops are aligned to, as in align.")
MIN_FACE_SIZE = flags.DEFINE_integer(
    "min_face_size", _DEFAULTS.min_face_size, "Shorter side of a face's box, at least, pixels."
)
MIN_SCORE = flags.DEFINE_float("min_score", _DEFAULTS.min_score, "How sure the detector must be, 0 to 1.")
MIN_OVERLAP = flags.DEFINE_float(
    "min_overlap", _DEFAULTS.min_overlap, "Of a face's boxes from frame to frame, intersection over union."
)
MIN_SIMILARITY = flags.DEFINE_float(
    "min_similarity", _DEFAULTS.min_similarity, "Of a face from frame to frame, at most 1; less: fewer, longer tracks."
)
MAX_GAP = flags.DEFINE_integer("max_gap", _DEFAULTS.max_gap, "Frames without the face that a track outlives.")
MIN_DIFFERENCE = flags.DEFINE_float(
    "min_difference", _DEFAULTS.min_difference, "Photos less different from the one before are dropped, grey levels."
)
MIN_FRAMES = flags.DEFINE_integer("min_frames", _DEFAULTS.min_frames, "Tracks of fewer different photos are dropped.")
MAX_FRAMES = flags.DEFINE_integer(
    "max_frames", _DEFAULTS.max_frames, "Photos of a record, at most: longer tracks are thinned evenly; 0: all."
)
QUALITY = flags.DEFINE_integer("quality", _DEFAULTS.quality, "Of the JPEG crops, 1 to 100.")
AS_FOLDERS = flags.DEFINE_bool("as_folders", False, "Write person/number/frame.jpg, as YouTube Faces has it.")
SHEET = flags.DEFINE_string("sheet", None, "PNG to write: a row of photos for each track, to be looked at.")


def main() -> str:
    output = OUTPUT()
    settings = tracks.Settings(
        template=template(TEMPLATE.value),
        min_face_size=MIN_FACE_SIZE.value,
        min_score=MIN_SCORE.value,
        min_overlap=MIN_OVERLAP.value,
        min_similarity=MIN_SIMILARITY.value,
        max_gap=MAX_GAP.value,
        min_difference=MIN_DIFFERENCE.value,
        min_frames=MIN_FRAMES.value,
        max_frames=MAX_FRAMES.value,
        quality=QUALITY.value,
    )
    summary = write.write_sequences(
        SOURCE.value,
        output,
        settings,
        videos.Sampling(STRIDE.value, FRAMES_PER_SECOND.value),
        identity_list=IDENTITY_LIST.value,
        identities_from=IDENTITIES_FROM.value,
        alone=ALONE.value,
        as_folders=AS_FOLDERS.value,
        sheet=SHEET.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main)
