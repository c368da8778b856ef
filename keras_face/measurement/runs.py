"""One run of an evaluation command: where embeddings come from, and what is written at its end."""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import files
from keras_face.evaluation.features import read_features, write_scores
from keras_face.evaluation.protocols import Pairs
from keras_face.evaluation.report.report import write_report
from keras_face.evaluation.result_files import versions, write_results
from keras_face.evaluation.results import IdentificationResult, Measured, VerificationResult
from keras_face.evaluation.scores import RULES
from keras_face.evaluation.tables import table
from keras_face.export import find_version, load_embedder, write_thresholds
from keras_face.measurement.cache import EmbeddingCache
from keras_face.measurement.photos import Photo, pixels
from keras_face.measurement.sources import FeatureSource, PhotoSource, Source
from keras_face.measurement.verification import measure_scores

CACHE_DIR = "output/cache"
_MOST_KEYED = 1_000_000  # pairs; similarities of more are written without the names of their sides
_WITHOUT_MODEL = ("flip", "batch_size", "cache", "cache_dir", "save_thresholds")  # settings that a model alone has


@dataclass(frozen=True)
class Run:
    """The settings that all evaluation commands share; their flags are named so, too. None: as by default.

    Attributes:
        output_dir: Folder for results.json, report.html and the similarities.
        model_path: Exported model, see `load_embedder`; measured from photos.
        features: File of embeddings, see `read_features`, instead.
        scores: File of similarities, see `read_scores`, instead.
        ending: Ending of MegaFace's feature files, instead.
        features_prefix: What all names in the file of embeddings begin with, taken off.
        distances: Whether the file of similarities has distances.
        score_columns: Its columns, as `similarity=Facenet_cosine`.
        flip: Whether to embed each photo with its mirror image; default: yes.
        batch_size: Photos per call of the model; default: 64.
        cache: Whether to keep embeddings; default: yes.
        cache_dir: Where; default: `CACHE_DIR`.
        threshold_rule: Of the accuracy, of `scores.RULES`.
        report: Whether to write report.html.
        save_scores: Whether to write the similarities, for `eval.compare`.
        save_thresholds: Whether to write thresholds into the model's keras_face.json; refused on drawn people.

    Raises: ValueError unless one of model, embeddings and similarities is given, and for settings it has no use for.
    """

    output_dir: str
    model_path: str | None = None
    features: str | None = None
    scores: str | None = None
    ending: str | None = None
    features_prefix: str = ""
    distances: bool = False
    score_columns: Sequence[str] = ()
    flip: bool | None = None
    batch_size: int | None = None
    cache: bool | None = None
    cache_dir: str | None = None
    threshold_rule: str = "best_accuracy"
    report: bool = True
    save_scores: bool = True
    save_thresholds: bool = False

    def __post_init__(self):
        modes = {name: getattr(self, name) for name in ("model_path", "features", "scores", "ending")}
        given = [name for name, value in modes.items() if value]
        if len(given) != 1:
            raise ValueError(
                "expected one of --model_path, --features and --scores (--ending for MegaFace), got "
                f"{' and '.join(given) or 'none'}"
            )
        unused = [] if self.model_path else [name for name in _WITHOUT_MODEL if getattr(self, name)]
        unused += ["noflip"] if self.flip is False and not self.model_path else []
        unused += ["features_prefix"] if self.features_prefix and not self.features else []
        unused += [name for name in ("distances", "score_columns") if getattr(self, name) and not self.scores]
        unused += ["cache_dir"] if self.cache is False and self.cache_dir else []
        if unused:
            raise ValueError(f"--{given[0]} has no use for --{', --'.join(dict.fromkeys(unused))}")
        if self.threshold_rule not in RULES:
            raise ValueError(f"threshold_rule must be one of {', '.join(RULES)}, got {self.threshold_rule!r}")

    @functools.cached_property
    def source(self) -> Source:
        """Where embeddings come from."""
        if self.features:
            return FeatureSource(read_features(self.features, prefix=self.features_prefix))
        if not self.model_path:
            raise ValueError("expected --model_path or --features, which have embeddings")
        return self.model_source(self.model_path)

    def model_source(self, model_path: str) -> PhotoSource:
        """Returns the embeddings of photos through an exported model."""
        folder = Path(self.cache_dir or CACHE_DIR)
        return PhotoSource(
            load_embedder(model_path, self.batch_size or 64),
            flip=self.flip is not False,
            cache=None if self.cache is False else EmbeddingCache(folder),
            progress=sys.stderr.isatty(),
        )

    def other_features(self, path: str) -> FeatureSource:
        """Returns the embeddings of another file, for a second side."""
        return FeatureSource(read_features(path, prefix=self.features_prefix))

    def measured_scores(self, pairs: Pairs | None = None) -> Measured:
        """Returns the figures of the similarities, of these pairs or of those of their file."""
        columns: dict[str, str] = {}
        for text in self.score_columns:
            name, equals, column = text.partition("=")
            if not equals or not column:
                raise ValueError(f"expected a column as similarity=NAME, got {text!r}")
            columns[name] = column
        return measure_scores(
            self.scores or "", pairs, distances=self.distances, columns=columns, rule=self.threshold_rule
        )

    def refuse_drawn(self, protocols: Iterable[Pairs]) -> None:
        """Raises ValueError if thresholds are to be saved that would be found on drawn people."""
        drawn = [pairs.protocol for pairs in protocols if pairs.drawn]
        if self.save_thresholds and drawn:
            raise ValueError(
                f"{drawn[0]}: expected photos of real people for --save_thresholds; a threshold found on drawn ones "
                "says nothing of real photos"
            )

    def finish(
        self,
        measured: Sequence[Measured],
        identified: Sequence[IdentificationResult] = (),
        *,
        locate: Callable[[str], Photo] | None = None,
    ) -> str:
        """Writes everything, and returns the summary.

        Args:
            measured: Verification results.
            identified: Identification results.
            locate: From the keys of pairs to photos for the report; None: there are none.

        Raises: ValueError as `refuse_drawn`.
        """
        self.refuse_drawn(each.pairs for each in measured)
        summary = write_run(
            self.output_dir, measured, identified, locate=locate, save_scores=self.save_scores, report=self.report
        )
        if not self.save_thresholds or not self.model_path:
            return summary
        if not measured:
            raise ValueError("expected verification to choose thresholds by, got identification alone")
        facts = write_thresholds(find_version(self.model_path), dict(map(thresholds, measured)))
        return f"{summary}\nthresholds: {facts}"


def write_run(
    output_dir: str | os.PathLike,
    measured: Sequence[Measured],
    identified: Sequence[IdentificationResult] = (),
    *,
    locate: Callable[[str], Photo] | None = None,
    save_scores: bool = True,
    report: bool = True,
    comparisons: Sequence[Any] = (),
) -> str:
    """Writes results.json, report.html and the similarities into a folder, and returns the summary of a run.

    Args:
        output_dir: The folder, made if it is not there.
        measured: Verification results.
        identified: Identification results.
        locate: From the keys of pairs to photos for the report; None: there are none.
        save_scores: Whether to write the similarities.
        report: Whether to write report.html.
        comparisons: Of two models.
    """
    output_dir = Path(output_dir)
    names: dict[int, str] = {}
    if save_scores:
        for number, each in enumerate(measured):
            large = each.similarity.size > _MOST_KEYED
            names[number] = f"scores{f'_{number}' if len(measured) > 1 else ''}{'.npz' if large else '.csv'}"
            _write_scores(output_dir / names[number], each, large)
    results: list[VerificationResult | IdentificationResult] = [*(each.result for each in measured), *identified]
    write_results(results, output_dir / "results.json", scores=names, comparisons=comparisons)
    written = "results.json"
    if report:
        facts = dict(versions())
        facts |= {f"comparison {number}": str(text) for number, text in enumerate(comparisons, 1)}
        photo_of = None if locate is None else functools.partial(_photo, locate)
        write_report(output_dir / "report.html", measured, photo_of=photo_of, facts=facts, identification=identified)
        written = "results.json and report.html"
    return "\n".join([table(results), *map(str, comparisons), f"{written}: {output_dir}"])


def thresholds(measured: Measured) -> tuple[str, dict[str, Any]]:
    """Returns the protocol and the thresholds found by it, for `write_thresholds`.

    They are cosines, found on all of the protocol's pairs: by best accuracy, by equal error, and for each FAR that is
    measurable, with the interval of the FAR that each will have on new people.
    """
    result = measured.result
    return result.protocol, {
        "best_accuracy": result.best_threshold,
        "equal_error": result.equal_error_threshold,
        "far": {f"{point.far:g}": point.threshold for point in result.tar_at_far if point.threshold is not None},
        "far_interval": {
            f"{point.far:g}": list(point.far_interval) for point in result.tar_at_far if point.far_interval is not None
        },
        "intervals": result.intervals,
        "num_genuine": result.num_genuine,
        "num_impostor": result.num_impostor,
        "photos": result.photos,
        "data_hash": result.data_hash,
        "protocol_hash": result.protocol_hash,
    }


def _write_scores(path: Path, measured: Measured, large: bool) -> None:
    if not large:
        write_scores(path, measured.pairs, measured.similarity)
        return
    arrays = {"similarity": measured.similarity, "genuine": measured.pairs.genuine}
    if measured.pairs.fold.any():
        arrays["fold"] = measured.pairs.fold
    with files.opened_whole(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _photo(locate: Callable[[str], Photo], key: str) -> np.ndarray | None:
    """Returns a photo for the report; None if it cannot be read: the figures do not depend on it."""
    try:
        return pixels(locate(key))
    except (ValueError, OSError):
        return None
