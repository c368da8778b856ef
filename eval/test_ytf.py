"""Measures a model on pairs of tracks: YouTube Faces, or anything in its formats.

    python -m eval.test_ytf --model_path output/run --config config.ini
    python -m eval.test_ytf --model_path output/run --source ytf/112x112 --splits splits.txt --ytf_error ytf-error.txt
    python -m eval.test_ytf --features frames.pkl --splits splits.txt --pooling norm --max_frames 100
    python -m eval.test_ytf --features frames.pkl --splits splits.txt --quality_file quality.txt --best 10
    python -m eval.test_ytf --features frames.pkl --splits splits.txt --set_score max|mean|softmax
    python -m eval.test_ytf --scores ytf.csv

Frames folder, splits file and error list come from the [ytf] section of the configuration; a flag goes over it.
Prints a table of raw and corrected figures, and writes results.json, report.html, ytf_raw_roc.png,
ytf_raw_histogram.png and the same for corrected.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face import config as configuration
from keras_face.evaluation.results import Measured
from keras_face.measurement import tracks, verification
from keras_face.measurement.photos import Photo
from keras_face.measurement.pooling import PoolingRule
from keras_face.measurement.runs import Run
from keras_face.records.prepare import test_sections

EVALUATION = commands.evaluation_flags("output/eval/ytf")
CONFIG = flags.DEFINE_string("config", None, "INI file; its [ytf] section says where frames, splits and errors are.")
SOURCE = flags.DEFINE_string("source", None, "Folder of aligned frames, Name/number/*.jpg.")
SPLITS = flags.DEFINE_string("splits", None, "YTF's splits file, of 5 or 6 columns.")
YTF_ERROR = flags.DEFINE_string("ytf_error", None, "List of wrong tracks, Name/number a line; '': none.")
MAX_FRAMES = flags.DEFINE_integer(
    "max_frames", None, "Frames of a track that are used, evenly spaced; 0: all.", lower_bound=0
)
POOLING = commands.pooling_flags("a track", "frames")
QUALITY_FILE = flags.DEFINE_string("quality_file", None, "Quality of each frame: lines `Name/number/frame quality`.")


def main() -> str:
    run = Run(**EVALUATION())
    given = {"prefix": SOURCE, "splits": SPLITS, "ytf_error": YTF_ERROR, "max_frames": MAX_FRAMES}
    overrides = [f"ytf.{name}={flag.value}" for name, flag in given.items() if flag.value is not None]
    config = configuration.load(CONFIG.value, overrides)
    if run.scores and not (CONFIG.value or overrides):
        return _finished(run, [run.measured_scores()], None)
    _, ytf = test_sections(config.lfw, config.ytf, config.synthetic, config.run.seed, Path(config.run.output_dir))
    if not ytf.splits or (run.model_path and not ytf.prefix):
        raise ValueError("expected a frames folder and a splits file: give --source and --splits, or --config")
    protocols = tracks.read_tracks(ytf.splits, ytf.ytf_error or None, frames_dir=ytf.prefix or None)
    run.refuse_drawn(protocols)
    pooling = POOLING()
    if run.scores:
        if pooling != PoolingRule() or QUALITY_FILE.value:
            raise ValueError("--scores has no use for --pooling, --best, --set_score and --quality_file")
        raw = run.measured_scores(protocols[0])
        corrected = [tracks.measure_again(raw, pairs, rule=run.threshold_rule) for pairs in protocols[1:]]
        return _finished(run, [raw, *corrected], ytf.prefix)
    measured = tracks.measure_tracks(
        run.source,
        protocols,
        ytf.prefix or None,
        max_frames=ytf.max_frames,
        pooling=pooling,
        quality_file=QUALITY_FILE.value,
        rule=run.threshold_rule,
    )
    return _finished(run, measured, ytf.prefix)


def _finished(run: Run, measured: Sequence[Measured], frames_dir: str | None) -> str:
    for name, each in zip(("raw", "corrected"), measured, strict=False):
        verification.save_plots(each, run.output_dir, f"ytf_{name}")

    def middle_frame(track: str) -> Photo:
        frames = tracks.frames_of(frames_dir or "", track)
        if not frames:
            raise ValueError(f"{track}: no frames")
        return Path(frames_dir or "", frames[len(frames) // 2])

    return run.finish(measured, locate=middle_frame if frames_dir else None)


if __name__ == "__main__":
    commands.run(main, renamed={"prefix": "source", "template": "pooling", "quality": "quality_file"})
