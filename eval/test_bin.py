"""Measures a model on InsightFace's packed test sets (.bin), several at once.

    python -m eval.test_bin --model_path output/run --source lfw.bin,cfp_fp.bin,agedb_30.bin,calfw.bin,cplfw.bin
    python -m eval.test_bin --features packed.npz --source lfw.bin

Embeddings of --features are named `lfw/0`, `lfw/1`: set and number of the distinct photo. Prints a table, and writes
results.json and report.html.
"""

from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.measurement import verification
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/bin")
SOURCE = flags.DEFINE_list("source", [], "Files .bin (or margin-centre-face's .np), with commas between.")


def main() -> str:
    run = Run(**EVALUATION())
    names = [Path(path).stem for path in SOURCE.value]
    if len(set(names)) < len(names):
        raise ValueError(f"expected files of different names, got {', '.join(names)}")
    if run.scores:
        if len(names) > 1:
            raise ValueError(f"expected one file for --scores, got {', '.join(names)}")
        task = verification.named_task(verification.read_task(SOURCE.value[0])) if names else None
        return run.finish([run.measured_scores(task.pairs if task else None)], locate=task.locate if task else None)
    if not names:
        raise ValueError("expected --source")
    tasks = {
        name: verification.named_task(verification.read_task(path))
        for name, path in zip(names, SOURCE.value, strict=True)
    }
    measured = [verification.measure_pairs(run.source, task, rule=run.threshold_rule) for task in tasks.values()]
    return run.finish(measured, locate=lambda key: tasks[key.split("/")[0]].locate(key))


if __name__ == "__main__":
    commands.run(main, renamed={"bins": "source"})
