"""The configured test sets: figures while training, and the report at its end."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_face.config import LfwConfig, YtfConfig
from keras_face.evaluation.results import VerificationResult, table, write_results
from keras_face.measurement import EmbedderLike, measure_lfw, measure_ytf

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
        found = {}
        if self._lfw.enable:
            found["lfw"] = self._measure_lfw(embedder, None, progress=False).accuracy.mean
        if self._ytf.enable and self._ytf.pairs:
            frames = measure_lfw(embedder, self._ytf.prefix, self._ytf.pairs, flip=self._flip)
            found["ytf"] = frames.accuracy.mean
        elif self._ytf.enable:
            found["ytf"] = self._measure_ytf(embedder, None, progress=False)[-1].accuracy.mean
        return found

    def report(self, embedders: Sequence[EmbedderLike], output_dir: str | os.PathLike) -> dict[str, Any]:
        """Measures each embedder on each enabled set, logs the table, and returns the figures.

        Writes `results.json`, and the plots of the first embedder into `plots/`.
        """
        output_dir = Path(output_dir)
        rows: list[VerificationResult] = []
        for number, embedder in enumerate(embedders):
            plots = output_dir / "plots" if number == 0 else None
            if self._lfw.enable:
                rows.append(self._measure_lfw(embedder, plots, progress=sys.stderr.isatty()))
            if self._ytf.enable:
                rows.extend(self._measure_ytf(embedder, plots, progress=sys.stderr.isatty()))
        if not rows:
            logger.info("no test set is enabled, so nothing was measured")
            return {"results": []}
        logger.info("%s", table(rows))
        write_results(rows, output_dir / "results.json")
        logger.info("results: %s; plots: %s", output_dir / "results.json", output_dir / "plots")
        return {"results": [row.to_json() for row in rows]}

    def _measure_lfw(self, embedder: EmbedderLike, plots: Path | None, progress: bool) -> VerificationResult:
        data, pairs = self._lfw.npdata or self._lfw.prefix, self._lfw.pairs or None
        return measure_lfw(embedder, data, pairs, flip=self._flip, plots_dir=plots, progress=progress)

    def _measure_ytf(self, embedder: EmbedderLike, plots: Path | None, progress: bool) -> Sequence[VerificationResult]:
        ytf = self._ytf
        return measure_ytf(
            embedder,
            ytf.prefix,
            ytf.splits,
            ytf.ytf_error or None,
            flip=self._flip,
            max_frames=ytf.max_frames,
            plots_dir=plots,
            progress=progress,
        ).rows()
