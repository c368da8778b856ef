"""Measures a model on MegaFace's challenge 1 without the closed devkit: rank-1, and TAR at FAR 1e-6.

    python -m eval.test_megaface --model_path output/run \
      --probe_source facescrub_images --distractor_source megaface_images \
      --probe_list facescrub_features_list.json --distractor_list megaface_features_list.json_1000000_1 \
      --probe_noises facescrub_noises.txt --distractor_noises megaface_noises.txt [--noisy_probes "left out"|replaced]
    python -m eval.test_megaface --ending _insightface.bin --probe_source features/facescrub \
      --distractor_source features/megaface --probe_list ... --distractor_list ...

Photos are aligned; with --ending the folders have the devkit's feature files instead, with --features one file has all
embeddings. Prints a table, and writes results.json and report.html.
"""

from absl import flags

from keras_face import commands
from keras_face.evaluation.features import read_megaface_features
from keras_face.evaluation.protocols import read_megaface
from keras_face.measurement.identification import measure_megaface
from keras_face.measurement.runs import Run
from keras_face.measurement.sources import FeatureSource

EVALUATION = commands.evaluation_flags("output/eval/megaface", verification=False)
PROBE_SOURCE = flags.DEFINE_string("probe_source", "", "Folder of FaceScrub's photos, or of their feature files.")
DISTRACTOR_SOURCE = flags.DEFINE_string(
    "distractor_source", "", "Folder of MegaFace's photos, or of their feature files."
)
ENDING = flags.DEFINE_string("ending", None, "Instead of a model: ending of feature files, after the photo's name.")
PROBE_LIST = flags.DEFINE_string("probe_list", None, "facescrub_features_list.json.", required=True)
DISTRACTOR_LIST = flags.DEFINE_string(
    "distractor_list", None, "megaface_features_list.json_1000000_1, or of another size.", required=True
)
PROBE_NOISES = flags.DEFINE_string("probe_noises", None, "InsightFace's facescrub_noises.txt.")
DISTRACTOR_NOISES = flags.DEFINE_string("distractor_noises", None, "InsightFace's megaface_noises.txt.")
NOISY_PROBES = flags.DEFINE_enum(
    "noisy_probes",
    "left out",
    ["left out", "replaced"],
    "Leave noisy probes out, or replace their embeddings by their person's, as InsightFace does.",
)


def main() -> str:
    run = Run(**EVALUATION(), ending=ENDING.value)
    protocol = read_megaface(
        PROBE_LIST.value,
        DISTRACTOR_LIST.value,
        probe_noises=PROBE_NOISES.value,
        distractor_noises=DISTRACTOR_NOISES.value,
        noisy_probes=NOISY_PROBES.value,
    )
    sides = ((PROBE_SOURCE.value, protocol.probes), (DISTRACTOR_SOURCE.value, protocol.distractors))
    if run.ending:
        sources = [FeatureSource(read_megaface_features(folder, names, run.ending)) for folder, names in sides]
        found = measure_megaface(sources[0], sources[1], protocol, PROBE_SOURCE.value, DISTRACTOR_SOURCE.value)
    else:
        found = measure_megaface(run.source, run.source, protocol, PROBE_SOURCE.value, DISTRACTOR_SOURCE.value)
    return run.finish([], [found])


if __name__ == "__main__":
    commands.run(main, renamed={"probes": "probe_source", "distractors": "distractor_source"})
