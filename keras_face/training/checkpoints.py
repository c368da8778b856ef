"""The checkpoints of a run: what is saved, how many are kept, and what a run that is started again goes on from."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face.backend import tf
from keras_face.training import named_prototypes
from keras_face.training.latse import MeanImages
from keras_face.training.momentum import check_form


class Checkpoints:
    """The newest checkpoints of a run, and that of its best model: each has model, step and the best figures so far.

    To be made within the strategy's scope: every replica has the step and the figures.

    Args:
        folder: `checkpoints` of the run; the best is in its `best`, and `identities.json` names the head's rows.
        model: What is trained, with its optimizer.
        identities: Names of the people, in the order of their labels.
        figures: Names of the figures that the best model is chosen by.
        keep: Newest checkpoints that are kept.
        chief: Whether this process writes into the folder. Every worker takes part in a save (a sharded variable lives
            on all of them), but what the others write goes into a temporary folder.
        mean_images: Saved and restored with the model; None: there are none.
    """

    def __init__(
        self,
        folder: Path,
        model: Any,
        identities: Sequence[str],
        figures: Sequence[str],
        *,
        keep: int,
        chief: bool = True,
        mean_images: MeanImages | None = None,
    ):
        self._folder, self._identities, self._figures = folder, list(identities), tuple(figures)
        self._chief, self._mean_images = chief, mean_images
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self._best_figures = tf.Variable([-1.0] * len(self._figures), trainable=False, name="best")
        self._checkpoint = tf.train.Checkpoint(model=model, step=self._step, best=self._best_figures)
        written = folder if chief else Path(tempfile.mkdtemp(prefix="keras_face_worker_"))
        self._newest = tf.train.CheckpointManager(self._checkpoint, os.fspath(written), keep)
        self._best = tf.train.CheckpointManager(self._checkpoint, os.fspath(written / "best"), 1)

    @property
    def step(self) -> int:
        """The last step that was trained, from 1; 0 before the first."""
        return int(self._step.numpy())

    @step.setter
    def step(self, step: int) -> None:
        self._step.assign(step)

    @property
    def best_figures(self) -> dict[str, float]:
        """The best so far of each figure; -1 where there is none."""
        return dict(zip(self._figures, self._best_figures.numpy().tolist(), strict=True))

    @best_figures.setter
    def best_figures(self, figures: Mapping[str, float]) -> None:
        self._best_figures.assign([figures[name] for name in self._figures])

    @property
    def newest(self) -> str | None:
        """The newest checkpoint; None if there is none."""
        return self._newest.latest_checkpoint

    def restore(self) -> str | None:
        """Goes back to the newest checkpoint, and returns it; None if the run has none.

        Raises: ValueError if it is of other people than those of the training data.
        """
        found = tf.train.latest_checkpoint(os.fspath(self._folder))
        if not found:
            return None
        before = named_prototypes.read_names(self._folder)
        if before is not None and list(before) != self._identities:
            raise ValueError(
                f"{self._folder}: expected the {len(before)} people that this run began with, in their order, got "
                f"others ({len(self._identities)}); for these start a new run with [model] model_path and "
                "keep_prototypes"
            )
        check_form(found, getattr(self._checkpoint.model, "optimizer", None))
        self._restore(found)
        if self._mean_images is not None:
            self._mean_images.restore(self.step)
        return found

    def begin(self) -> None:
        """Notes the names of the people, for a run that begins."""
        if self._chief:
            named_prototypes.write_names(self._folder, self._identities)

    def save(self, step: int) -> None:
        """Saves the newest."""
        if self._mean_images is not None:
            self._mean_images.save(step)
        self._newest.save(checkpoint_number=step)

    def save_best(self, step: int) -> None:
        """Saves the best, in place of the one before."""
        self._best.save(checkpoint_number=step)

    def restore_best(self) -> None:
        """Goes back to the best."""
        self._restore(self._best.latest_checkpoint)

    def _restore(self, path: str | None) -> None:
        self._checkpoint.restore(path).assert_existing_objects_matched()
