"""Measures a model on pairs of photos: LFW, CFP, CPLFW, or anything in their formats.

    python -m eval.test_lfw --model_path output/run/export --source lfw/aligned112 --pairs lfw/protocol/pairs.txt
    python -m eval.test_lfw --model_path output/run --source lfw.bin
    python -m eval.test_lfw --features lfw.npz --pairs lfw/protocol/pairs.txt --subtract_mean
    python -m eval.test_lfw --model_path output/run --source cfp/images --pairs cfp/Protocol --views FF
    python -m eval.test_lfw --scores scores.csv
    python -m eval.test_lfw --model_path output/run --source lfw/aligned112 --originals --error_versus_reject

Prints a table, and writes results.json, report.html, lfw_roc.png and lfw_histogram.png.
"""

from absl import flags

from keras_face import commands
from keras_face.evaluation.originals import original_figures
from keras_face.evaluation.quality import false_rejects_by_quality
from keras_face.evaluation.results import Measured
from keras_face.measurement import verification
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/lfw")
SOURCE = commands.photos_flag(
    "Folder of aligned photos, InsightFace .bin, or margin-centre-face's lfw.np; --features may do without."
)
PAIRS = flags.DEFINE_string(
    "pairs", None, "List of pairs: LFW's pairs.txt (View 2) or pairsDevTest.txt (View 1), SeqFace's, CPLFW's; or CFP's "
    "folder Protocol. Default: pairs.txt in the folder of photos."
)  # fmt: skip
VIEWS = flags.DEFINE_enum("views", "FP", ["FF", "FP"], "Of CFP: frontal with frontal, or frontal with profile.")
SUBTRACT_MEAN = flags.DEFINE_bool(
    "subtract_mean", False, "Take the mean embedding of the other folds off for the accuracy, as SphereFace does."
)
ORIGINALS = flags.DEFINE_bool(
    "originals", False, "Print what margin-centre-face's, foamliu's and SeqFace's scripts would have printed, too."
)
ERROR_VERSUS_REJECT = flags.DEFINE_bool(
    "error_versus_reject", False, "Print the false rejects that are left when pairs of short embeddings are rejected."
)


def main() -> str:
    run = Run(**EVALUATION())
    if ORIGINALS.value and run.distances:
        raise ValueError("--originals has no use for --distances: the scripts compare cosines")
    if ERROR_VERSUS_REJECT.value and run.scores:
        raise ValueError("--scores has no use for --error_versus_reject: norms are not in its file")
    task = verification.read_task(SOURCE.value, PAIRS.value, views=VIEWS.value) if SOURCE.value or PAIRS.value else None
    if task is not None:
        run.refuse_drawn([task.pairs])
    if run.scores:
        if SUBTRACT_MEAN.value:
            raise ValueError("--scores has no use for --subtract_mean")
        measured = run.measured_scores(task.pairs if task else None)
    elif task is None:
        raise ValueError("expected --source, or --pairs for --features")
    else:
        measured = verification.measure_pairs(
            run.source, task, rule=run.threshold_rule, subtract_mean=SUBTRACT_MEAN.value
        )
    verification.save_plots(measured, run.output_dir, "lfw")
    further = _further_figures(measured)
    return "\n".join([*further, run.finish([measured], locate=task.locate if task and SOURCE.value else None)])


def _further_figures(measured: Measured) -> list[str]:
    found = []
    genuine = measured.pairs.genuine
    if ORIGINALS.value:
        found.append(original_figures(measured.similarity, genuine))
    if ERROR_VERSUS_REJECT.value:
        if measured.quality is None:
            raise ValueError("--error_versus_reject needs embeddings of different lengths, got all of the same")
        points = measured.result.tar_at_far
        found.append(false_rejects_by_quality(measured.similarity, genuine, measured.quality, points))
    return found


if __name__ == "__main__":
    commands.run(main)
