"""The configured test sets: figures and worst errors while training, and the report at its end."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_face.config import LfwConfig, YtfConfig
from keras_face.evaluation.report.errors import decide, wrong_pairs
from keras_face.evaluation.report.report import write_report
from keras_face.evaluation.results import Measured, versions, write_results
from keras_face.evaluation.tables import table
from keras_face.export import EmbedderLike
from keras_face.measurement import PhotoSource
from keras_face.measurement.photos import pixels
from keras_face.measurement.sources import Locate
from keras_face.measurement.tracks import frames_of, measure_tracks, read_tracks
from keras_face.measurement.verification import measure_pairs, read_task, save_plots
from keras_face.photos.images import fit

logger = logging.getLogger("keras_face")


@dataclass(frozen=True, eq=False)
class Validated:
    """What a set gave while training; made by `Validation.measure`.

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


class Validation:
    """Measures embedders on the sets that are enabled.

    Args:
        lfw: Pairs of photos: `npdata`, or else `prefix` with `pairs`.
        ytf: Pairs of tracks: `prefix` with `splits`; `pairs`, pairs of frames, are quicker and serve while training.
        flip: Add each photo's mirror image.

    Raises:
        ValueError: An enabled set lacks its paths.
    """

    def __init__(self, lfw: LfwConfig, ytf: YtfConfig, *, flip: bool = True):
        if lfw.enable and not (lfw.npdata or lfw.prefix):
            raise ValueError("[lfw] expected npdata or prefix, got neither")
        if ytf.enable and not (ytf.prefix and ytf.splits):
            raise ValueError(f"[ytf] expected prefix and splits, got {ytf.prefix!r} and {ytf.splits!r}")
        self._lfw, self._ytf, self._flip = lfw, ytf, flip

    def measure(self, embedder: EmbedderLike) -> dict[str, Validated]:
        """Returns what was measured on each enabled set, `lfw` and `ytf` (corrected where it can be)."""
        lfw, ytf, found = self._lfw, self._ytf, {}
        source = PhotoSource(embedder, flip=self._flip, hashes=False)
        if lfw.enable:
            task = read_task(lfw.npdata or lfw.prefix, lfw.pairs or None)
            found["lfw"] = Validated(measure_pairs(source, task), task.locate)
        if ytf.enable and ytf.pairs:
            task = read_task(ytf.prefix, ytf.pairs)
            found["ytf"] = Validated(measure_pairs(source, task), task.locate)
        elif ytf.enable:
            protocols = read_tracks(ytf.splits, ytf.ytf_error or None)
            measured = measure_tracks(source, protocols, ytf.prefix, max_frames=ytf.max_frames)
            found["ytf"] = Validated(measured[-1], self._middle_frame)
        return found

    def report(self, embedders: Sequence[EmbedderLike], output_dir: str | os.PathLike) -> dict[str, Any]:
        """Measures each embedder on each enabled set, logs the table, and returns the figures.

        Writes `results.json` and `report.html`, and the plots of the first embedder into `plots/`.
        """
        output_dir = Path(output_dir)
        found: list[Measured] = []
        for number, embedder in enumerate(embedders):
            measured = self._measured(PhotoSource(embedder, flip=self._flip, progress=sys.stderr.isatty()))
            for name, each in measured.items():
                if number == 0:
                    save_plots(each, output_dir / "plots", name)
                found.append(each)
        if not found:
            logger.info("no test set is enabled, so nothing was measured")
            return {"results": []}
        rows = [each.result for each in found]
        logger.info("%s", table(rows))
        write_results(rows, output_dir / "results.json")
        write_report(output_dir / "report.html", found, facts=versions())
        logger.info("results: %s; report and plots beside it", output_dir / "results.json")
        return {"results": [row.to_json() for row in rows]}

    def _measured(self, source: PhotoSource) -> dict[str, Measured]:
        """Returns what was measured on each enabled set, by the name of its plots."""
        lfw, ytf = self._lfw, self._ytf
        found = {}
        if lfw.enable:
            found["lfw"] = measure_pairs(source, read_task(lfw.npdata or lfw.prefix, lfw.pairs or None))
        if ytf.enable:
            protocols = read_tracks(ytf.splits, ytf.ytf_error or None)
            measured = measure_tracks(source, protocols, ytf.prefix, max_frames=ytf.max_frames)
            found |= dict(zip(("ytf_raw", "ytf_corrected"), measured, strict=False))
        return found

    def _middle_frame(self, track: str) -> Path:
        frames = frames_of(self._ytf.prefix, track, self._ytf.max_frames)
        return Path(self._ytf.prefix, frames[len(frames) // 2])
