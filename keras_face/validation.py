"""The configured test sets: figures while training, and the report at its end."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_face.config import LfwConfig, YtfConfig
from keras_face.evaluation.report import write_report
from keras_face.evaluation.results import Measured, versions, write_results
from keras_face.evaluation.tables import table
from keras_face.measurement import EmbedderLike, PhotoSource, measure_lfw, measure_ytf
from keras_face.measurement.tracks import measure_tracks, read_tracks
from keras_face.measurement.verification import measure_pairs, read_task, save_plots

logger = logging.getLogger("keras_face")


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

    def figures(self, embedder: EmbedderLike) -> dict[str, float]:
        """Returns the accuracy on each enabled set, `lfw` and `ytf` (corrected where it can be)."""
        lfw, ytf, found = self._lfw, self._ytf, {}
        if lfw.enable:
            found["lfw"] = measure_lfw(embedder, lfw.npdata or lfw.prefix, lfw.pairs or None, flip=self._flip)
        if ytf.enable and ytf.pairs:
            found["ytf"] = measure_lfw(embedder, ytf.prefix, ytf.pairs, flip=self._flip)
        elif ytf.enable:
            results = measure_ytf(
                embedder, ytf.prefix, ytf.splits, ytf.ytf_error or None, flip=self._flip, max_frames=ytf.max_frames
            )
            found["ytf"] = results.rows()[-1]
        return {name: result.accuracy.mean for name, result in found.items() if result.accuracy is not None}

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
