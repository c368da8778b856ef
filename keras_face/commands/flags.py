"""The flags that commands share: where photos come from, where records go, what is evaluated, a configuration."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from keras_face import config
from keras_face.evaluation.pooling import WEIGHTINGS, Pooling
from keras_face.evaluation.set_scores import METHODS
from keras_face.photos import limit

if TYPE_CHECKING:
    from keras_face.measurement.pooling import PoolingRule
    from keras_face.records import writing

flags.disclaim_key_flags()  # they are the flags of the command that asks for them, and in its --help


def photos_flag(what: str) -> flags.FlagHolder:
    """Returns --source, which is also called --data, as margin-centre-face has it.

    Args:
        what: Which photos, for the help.
    """
    holder = flags.DEFINE_string("source", None, what)
    flags.DEFINE_alias("data", "source")
    return holder


def set_size_flag() -> flags.FlagHolder:
    """Returns --set_size: how many photos of one person a record has."""
    return flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)


def min_photos_flag() -> flags.FlagHolder:
    """Returns --min_photos: who has too few photos for a dataset."""
    return flags.DEFINE_integer("min_photos", 1, "People with fewer good photos are left out.", lower_bound=1)


def template_flag(
    default: str | None = None, what: str = "What the photos are aligned to, as arcface; default: not known."
) -> flags.FlagHolder:
    """Returns --template: where the landmarks of aligned photos lie.

    Args:
        default: Taken if the flag is not given; None: what the photos themselves say, if they do.
        what: For the help.
    """
    return flags.DEFINE_string("template", default, what)


def pixel_limit_flag() -> None:
    """Defines --max_pixels, which `commands.run` sets for all that the command reads: called where flags are."""
    flags.DEFINE_integer(
        "max_pixels", limit.MAX_PIXELS, "Photos of more pixels are refused before they are decoded.", lower_bound=1
    )


def output_flags() -> "Callable[[], writing.Output]":
    """Returns a function that says where records go, after defining the flags for it: called where flags are."""
    pixel_limit_flag()
    path = flags.DEFINE_string("output_dir", None, "Folder of records to make; must not exist.", required=True)
    num_shards = flags.DEFINE_integer(
        "num_shards", None, "Files of records; default: as many as makes them about 256 MiB.", lower_bound=1
    )
    beam_runner = flags.DEFINE_string(
        "beam_runner", None, "Apache Beam's runner that writes: DirectRunner, FlinkRunner, SparkRunner, DataflowRunner."
    )
    beam_options = flags.DEFINE_multi_string(
        "beam_option", [], "An option of the runner, as --beam_option=--direct_num_workers=2; can be repeated."
    )

    def output() -> "writing.Output":
        from keras_face.records import writing  # and TensorFlow, which `keras-face --help` does without

        return writing.Output(path.value, num_shards.value, beam_runner.value, tuple(beam_options.value))

    return output


def evaluation_flags(output_dir: str, *, verification: bool = True) -> Callable[[], dict[str, Any]]:
    """Returns a function that gives the settings of `measurement.runs.Run`, after defining the flags for them.

    Args:
        output_dir: Default of --output_dir.
        verification: Whether the command measures pairs, so that it has thresholds and similarities.
    """
    pixel_limit_flag()
    found: list[flags.FlagHolder] = [
        flags.DEFINE_string("output_dir", output_dir, "Folder for results.json and report.html."),
        flags.DEFINE_bool("report", True, "Write report.html, which takes seconds."),
        flags.DEFINE_string("model_path", None, "SavedModel folder, folder of numbered ones, or run folder."),
        flags.DEFINE_string("features", None, "Instead of a model: embeddings, .npz, text, or pickled dictionary."),
        flags.DEFINE_string("features_prefix", "", "What all names of --features begin with, taken off."),
        flags.DEFINE_bool("flip", None, "Embed each photo and its mirror image; default: yes."),
        flags.DEFINE_integer("batch_size", None, "Photos per call of the model; default: 64.", lower_bound=1),
        flags.DEFINE_bool("cache", None, "Keep embeddings, by content of model and photos; default: yes."),
        flags.DEFINE_string("cache_dir", None, "Folder of kept embeddings; default: output/cache."),
    ]
    if verification:
        found += [
            flags.DEFINE_string(
                "threshold_rule",
                "best_accuracy",
                "Of the accuracy: best_accuracy, equal_error, mean_of_maximisers, first_of_400 or best_on_test.",
            ),
            flags.DEFINE_bool("save_scores", True, "Write the similarities, for eval.compare."),
            flags.DEFINE_bool("save_thresholds", False, "Write the thresholds found into the model's keras_face.json."),
            flags.DEFINE_string("scores", None, "Instead of a model: similarities, .npz, CSV, or lines `value flag`."),
            flags.DEFINE_bool("distances", False, "The values of --scores are distances or angles."),
            flags.DEFINE_multi_string("score_columns", [], "A column of --scores: similarity=NAME; can be repeated."),
        ]
    return lambda: {flag.name: flag.value for flag in found}


def pooling_flags(face_set: str, photos: str) -> Callable[..., "PoolingRule"]:
    """Defines --pooling, --best and --set_score.

    Args:
        face_set: What is compared, for the help: a track.
        photos: What it consists of: frames.

    Returns: What they say, when they are parsed; it takes `by_media`, of `Pooling`, which a set score has no use for.
    """
    pooling = flags.DEFINE_enum(
        "pooling", "equal", list(WEIGHTINGS), f"How {photos} are weighed: equal, by norm, by quality, or by both."
    )
    best = flags.DEFINE_integer(
        "best", None, f"How many {photos} of {face_set} are kept, those of the highest quality.", lower_bound=1
    )
    set_score = flags.DEFINE_enum(
        "set_score", None, list(METHODS), f"Compare {face_set} by each of its {photos}, instead of pooling."
    )

    def rule(by_media: bool = False) -> "PoolingRule":
        from keras_face.measurement.pooling import PoolingRule

        return PoolingRule(Pooling(pooling.value, best.value, by_media and set_score.value is None), set_score.value)

    return rule


def training_flags(
    without_config: str,
) -> Callable[[Callable[[Callable[..., config.Config]], Sequence[str]], Sequence[str]], config.Config]:
    """Returns a function that gives the configuration of a training, after defining the flags for it.

    It is the file of --config; without one, the defaults where the flags name training data, else the quick start. A
    network that starts from the weights of a run is that run's, but for what the file of --config and the flags say.

    The function takes a function that gives overrides that go over the file, and further ones that do so on the quick
    start; those of the flags come after them, --set last. A flag and a --set that give one key different values are a
    ValueError. The first is called with a function that loads the file with overrides.

    Args:
        without_config: What is trained without --config and training data, for the help.
    """
    pixel_limit_flag()
    without = f"the defaults, if --set data.train says what to train on, else {without_config}"
    path = flags.DEFINE_string("config", None, f"INI file, or the name of a recipe; none: {without}")
    tiny = flags.DEFINE_bool("tiny", False, "Lay the file's section [tiny] over the rest: the same on drawn people.")
    more = flags.DEFINE_multi_string("set", [], "section.key=value, over the file; may be given again.")
    output_dir = flags.DEFINE_string("output_dir", None, "Folder of the run; the same as --set run.output_dir=DIR.")
    familiar = {
        name: flags.DEFINE_string(name, None, f"The same as --set {key}=VALUE.")
        for name, key in config.FAMILIAR_FLAGS.items()
    }

    def read(
        always: Callable[[Callable[..., config.Config]], Sequence[str]], on_quick_start: Sequence[str]
    ) -> config.Config:
        own = [*_stand_for(familiar, output_dir, more.value), *more.value]
        quick_start = path.value is None and "train" not in config.given(None, own).get("data", {})
        base = config.QUICK_START if quick_start else path.value

        def file(*overrides: str) -> config.Config:
            return config.load(base, overrides, tiny=tiny.value)

        overrides = [*always(file), *(on_quick_start if quick_start else ())]
        model_path, _ = (
            config.given(base, [*overrides, *own], tiny=tiny.value).get("model", {}).get("model_path", ("", ""))
        )
        if model_path:
            told = config.given(path.value, own, tiny=tiny.value)
            overrides += [each for each in config.taken_from_run(model_path) if not _says(told, each)]
        return file(*overrides, *own)

    return read


def _stand_for(
    familiar: Mapping[str, flags.FlagHolder], output_dir: flags.FlagHolder, others: Sequence[str]
) -> list[str]:
    """Returns the overrides that flags stand for, which must agree with the others."""
    found = {name: config.familiar(name, flag.value) for name, flag in familiar.items() if flag.value is not None}
    if output_dir.value is not None:
        found["output_dir"] = [f"run.output_dir={output_dir.value}"]
    for name, own in found.items():
        config.check_flag(f"--{name}={flags.FLAGS[name].value}", own, others)
    return [override for own in found.values() for override in own]


def _says(given: Mapping[str, Mapping[str, Any]], override: str) -> bool:
    """Returns whether the key of an override is among those that were given."""
    section, key = override.partition("=")[0].split(".")
    return key in given.get(section, {})
