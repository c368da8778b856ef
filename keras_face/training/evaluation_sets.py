"""The configured test sets: figures and worst errors while training, and the report at its end."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face.config import LfwConfig, YtfConfig
from keras_face.evaluation.report.errors import decide, wrong_pairs
from keras_face.evaluation.report.report import write_report
from keras_face.evaluation.result_files import versions, write_results
from keras_face.evaluation.results import Measured, VerificationResult
from keras_face.evaluation.tables import table
from keras_face.export import EmbedderLike, write_thresholds
from keras_face.measurement import PhotoSource
from keras_face.measurement.photos import pixels
from keras_face.measurement.runs import thresholds
from keras_face.measurement.sources import Locate
from keras_face.measurement.tracks import frames_of, measure_tracks, read_tracks
from keras_face.measurement.verification import Task, measure_pairs, read_task, save_plots
from keras_face.photos.images import fit

logger = logging.getLogger("keras_face")

FIGURES = ("lfw", "ytf")  # by which the best model is chosen
HELD_OUT = "held_out"  # another one, where people are held out
_PLOTS = {"lfw": ("lfw",), "ytf": ("ytf_raw", "ytf_corrected"), HELD_OUT: (HELD_OUT,)}


@dataclass(frozen=True, eq=False)
class Validated:
    """What a set gave while training; made by `EvaluationSets.measure`.

    Attributes:
        measured: The figures, with the pairs and their similarities.
        locate: From a key of the pairs to its photo; from a track to its middle frame.
    """

    measured: Measured
    locate: Locate

    def worst_errors(self, image_size: tuple[int, int], most: int) -> dict[str, np.ndarray]:
        """Returns the photos of the pairs that are farthest on the wrong side of the threshold, which are read for it.

        The threshold is the one of each pair's fold that the accuracy counts by, see `report_errors.decide`.

        Args:
            image_size: (height, width), pixels; the photos are fitted to it.
            most: Pairs of either kind, the worst first.

        Returns: For `false_accepts` and `false_rejects`, where there are any: uint8 [2 * pairs, height, width, 3], the
            two photos of a pair one after the other.
        Raises: ValueError or OSError for a photo that cannot be read any more.
        """
        pairs, decisions = self.measured.pairs, decide(self.measured)
        found = {}
        for kind, genuine in (("false_accepts", False), ("false_rejects", True)):
            worst = wrong_pairs(self.measured, decisions, genuine=genuine)[:most]
            if worst.size:
                keys = [key for number in worst for key in (pairs.left[number], pairs.right[number])]
                found[kind] = np.stack([fit(pixels(self.locate(key)), image_size).numpy() for key in keys])
        return found


class EvaluationSets:
    """The test sets that are enabled, which measure embedders.

    Args:
        lfw: Pairs of photos: `npdata`, or else `prefix` with `pairs`.
        ytf: Pairs of tracks: `prefix` with `splits`; `pairs`, pairs of frames, are quicker and serve while training.
        held_out: Pairs of people who were held out of the training; None: nobody was.
        flip: Add each photo's mirror image.

    Raises:
        ValueError: An enabled set lacks its paths.
    """

    def __init__(self, lfw: LfwConfig, ytf: YtfConfig, held_out: Task | None = None, *, flip: bool = True):
        if lfw.enable and not (lfw.npdata or lfw.prefix):
            raise ValueError("[lfw] expected npdata or prefix, got neither")
        if ytf.enable and not (ytf.prefix and ytf.splits):
            raise ValueError(f"[ytf] expected prefix and splits, got {ytf.prefix!r} and {ytf.splits!r}")
        self._lfw, self._ytf, self._held_out, self._flip = lfw, ytf, held_out, flip

    def measure(self, embedder: EmbedderLike) -> dict[str, Validated]:
        """Returns what is measured while training on each set, by its name, `ytf` corrected where it can be."""
        source = PhotoSource(embedder, flip=self._flip, hashes=False)
        return {name: found[-1] for name, found in self._measured(source, whole_tracks=not self._ytf.pairs).items()}

    def report(
        self, embedders: Sequence[EmbedderLike], output_dir: str | os.PathLike, export: Path | None = None
    ) -> list[dict[str, VerificationResult]]:
        """Measures each embedder on each set, logs the table, and returns the figures of each, by what was measured.

        Writes `results.json` and `report.html`, and the plots of the first embedder into `plots/`. Thresholds that are
        found with it on held-out people go into the facts of `export`, its folder, if there is one.
        """
        output_dir = Path(output_dir)
        found: list[Measured] = []
        results: list[dict[str, VerificationResult]] = []
        for number, embedder in enumerate(embedders):
            source = PhotoSource(embedder, flip=self._flip, progress=sys.stderr.isatty())
            results.append({})
            for name, of_set in self._measured(source, whole_tracks=True).items():
                if number == 0 and name == HELD_OUT and export is not None:
                    real = [each.measured for each in of_set if not each.measured.result.drawn]
                    write_thresholds(export, dict(map(thresholds, real)))
                for plot, each in zip(_PLOTS[name], of_set, strict=False):
                    if number == 0:
                        save_plots(each.measured, output_dir / "plots", plot)
                    found.append(each.measured)
                    results[-1][plot] = each.measured.result
        if not found:
            logger.info("no test set is enabled, so nothing was measured")
            return []
        rows = [each.result for each in found]
        logger.info("%s", table(rows))
        write_results(rows, output_dir / "results.json")
        write_report(output_dir / "report.html", found, facts=versions())
        logger.info("results: %s; report and plots beside it", output_dir / "results.json")
        return results

    def _measured(self, source: PhotoSource, *, whole_tracks: bool) -> dict[str, list[Validated]]:
        """Returns what is measured on each set; of whole tracks also corrected, where they can be."""
        lfw, ytf, found = self._lfw, self._ytf, {}
        if lfw.enable:
            found["lfw"] = [_pairs(source, lfw.npdata or lfw.prefix, lfw.pairs or None)]
        if ytf.enable and whole_tracks:
            protocols = read_tracks(ytf.splits, ytf.ytf_error or None, frames_dir=ytf.prefix)
            measured = measure_tracks(source, protocols, ytf.prefix, max_frames=ytf.max_frames)
            found["ytf"] = [Validated(each, self._middle_frame) for each in measured]
        elif ytf.enable:
            found["ytf"] = [_pairs(source, ytf.prefix, ytf.pairs)]
        if self._held_out is not None:
            found[HELD_OUT] = [Validated(measure_pairs(source, self._held_out), self._held_out.locate)]
        return found

    def _middle_frame(self, track: str) -> Path:
        frames = frames_of(self._ytf.prefix, track, self._ytf.max_frames)
        return Path(self._ytf.prefix, frames[len(frames) // 2])


def _pairs(source: PhotoSource, data: str, pairs_file: str | None) -> Validated:
    task = read_task(data, pairs_file)
    return Validated(measure_pairs(source, task), task.locate)
