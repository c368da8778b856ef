"""The checkpoints of a run: what is saved, how many are kept, and what a run that is started again goes on from."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face import files
from keras_face.backend import tf
from keras_face.export import checkpoint_files
from keras_face.training import named_prototypes, run_facts
from keras_face.training.latse import MeanImages
from keras_face.training.momentum import check_form

logger = logging.getLogger("keras_face")


@dataclasses.dataclass(frozen=True)
class Best:
    """The best model that is kept.

    Attributes:
        step: After which it was as it is kept.
        figures: The best until then of each figure that it was chosen by.
        test_sets: What each of these was measured on, JSON values.
    """

    step: int
    figures: Mapping[str, float]
    test_sets: Mapping[str, Any]


class Checkpoints:
    """The newest checkpoints of a run, and that of its best model: each has model, step and the facts of the run.

    To be made within the strategy's scope: every replica has the step.

    Args:
        folder: `checkpoints` of the run; the best is in its `best`, and `identities.json` names the head's rows.
        model: What is trained, with its optimizer.
        identities: Names of the people, in the order of their labels.
        facts: What the run is made with, see `run_facts`; stored with each checkpoint, and compared where one is gone
            on from.
        chosen_by: `[validation] best`: a best model that was chosen by something else does not count.
        keep: Newest checkpoints that are kept.
        scratch: Where another worker than the chief writes. Every worker takes part in a save (a sharded variable
            lives on all of them), but `folder` is the chief's alone. None: this is the chief.
        mean_images: Saved and restored with the model; None: there are none.
    """

    def __init__(
        self,
        folder: Path,
        model: Any,
        identities: Sequence[str],
        facts: Mapping[str, Any],
        *,
        chosen_by: str = "last",
        keep: int,
        scratch: Path | None = None,
        mean_images: MeanImages | None = None,
    ):
        self._folder, self._identities, self._facts, self._chosen_by = folder, list(identities), facts, chosen_by
        self._written, self._keep, self._mean_images = scratch or folder, keep, mean_images
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self._checkpoint = tf.train.Checkpoint(model=model, step=self._step)
        self._kept: list[Path] = []  # from old to new
        self._best: tuple[Best, Path] | None = None

    @property
    def step(self) -> int:
        """The last step that was trained, from 1; 0 before the first."""
        return int(self._step.numpy())

    @step.setter
    def step(self, step: int) -> None:
        self._step.assign(step)

    @property
    def newest(self) -> str | None:
        """The newest checkpoint; None if there is none."""
        return os.fspath(self._kept[-1]) if self._kept else None

    @property
    def best(self) -> Best | None:
        """The best model that is kept; None if there is none, or it was chosen by something else."""
        return self._best and self._best[0]

    def restore(self) -> str | None:
        """Goes back to the newest whole checkpoint, and returns it; None if the run has none.

        Raises: ValueError if none of those that there are is whole, or it does not fit what is trained now.
        """
        if self._chief:
            for folder in (self._folder, self._folder / "best"):
                checkpoint_files.remove_unfinished(folder)
        found = checkpoint_files.newest_whole(self._folder)
        if found is None:
            return None
        before = checkpoint_files.facts(found) or run_facts.noted(self._folder.parent)
        run_facts.check(before, self._facts, os.fspath(found))
        check_form(os.fspath(found), getattr(self._checkpoint.model, "optimizer", None))
        self._read(found, before)
        older = checkpoint_files.prefixes(self._folder)
        self._kept = older[older.index(found) :][::-1]
        if self._mean_images is not None:
            self._mean_images.restore(self.step)
        if self._chief:  # they may be lost, or of an earlier start
            named_prototypes.write_names(self._folder, self._identities)
        self._best = self._kept_best()
        return os.fspath(found)

    def begin(self) -> None:
        """Notes the names of the people, for a run that begins."""
        if self._chief:
            named_prototypes.write_names(self._folder, self._identities)

    def save(self, step: int) -> None:
        """Saves the newest."""
        means = [] if self._mean_images is None else [self._mean_images.save(step)]
        prefix = self._write(self._written / f"ckpt-{step}", self._facts, means)
        self._kept = [*(other for other in self._kept if other.name != prefix.name), prefix]
        while len(self._kept) > self._keep:
            checkpoint_files.remove(self._written / self._kept.pop(0).name)
        self._note(self._kept)

    def save_best(self, best: Best) -> None:
        """Saves the model as the best, in place of the one before."""
        kept = {"chosen_by": self._chosen_by, **dataclasses.asdict(best)}
        prefix = self._write(self._written / "best" / f"ckpt-{best.step}", {**self._facts, "best": kept})
        for other in checkpoint_files.prefixes(prefix.parent):
            if other != prefix:
                checkpoint_files.remove(other)
        self._note([prefix])
        self._best = best, prefix

    def restore_best(self) -> bool:
        """Goes back to the best, and returns whether there is one.

        Raises: ValueError if it does not fit what is trained now.
        """
        if self._best is None:
            return False
        _, prefix = self._best
        self._read(prefix, self._facts)
        return True

    @property
    def _chief(self) -> bool:
        return self._written == self._folder

    def _kept_best(self) -> tuple[Best, Path] | None:
        """Returns the best that an earlier start kept, if it is whole and was chosen by what counts now."""
        for prefix in checkpoint_files.prefixes(self._folder / "best"):
            if wrong := checkpoint_files.damage(prefix):
                logger.warning("the best model kept before does not count: %s", wrong)
                continue
            kept = (checkpoint_files.facts(prefix) or {}).get("best", {})
            if kept.pop("chosen_by", None) == self._chosen_by:
                return Best(**kept), prefix
            if self._chosen_by != "last":
                logger.warning("%s, kept as the best, does not count: it was not chosen by %s", prefix, self._chosen_by)
        return None

    def _write(self, prefix: Path, facts: Mapping[str, Any], others: Sequence[Path] = ()) -> Path:
        with checkpoint_files.written(prefix, facts, others):
            self._checkpoint.write(os.fspath(prefix))
        return prefix

    def _note(self, kept: Sequence[Path]) -> None:
        """Tells TensorFlow's own tools which checkpoint is the newest."""
        lines = [f'model_checkpoint_path: "{kept[-1].name}"']
        lines += [f'all_model_checkpoint_paths: "{prefix.name}"' for prefix in kept]
        files.write_text(kept[-1].with_name("checkpoint"), "\n".join(lines) + "\n")

    def _read(self, prefix: Path, before: Mapping[str, Any]) -> None:
        try:
            self._checkpoint.read(os.fspath(prefix)).assert_existing_objects_matched().expect_partial()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            reason = str(error).split("\n")[0]
            raise ValueError(run_facts.does_not_fit(os.fspath(prefix), before, self._facts, reason)) from None
