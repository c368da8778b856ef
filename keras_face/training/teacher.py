"""A trained model that guides a training: its embeddings of the same photos, and what it takes them for."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_face.alignment import templates
from keras_face.backend import tf
from keras_face.config import TeacherConfig, load
from keras_face.export import Embedder, ServedModel, find_version, load_embedder, load_weights
from keras_face.losses.products import products
from keras_face.losses.prototypes import nearest
from keras_face.losses.teacher import TeacherOutput
from keras_face.photos.images import fit
from keras_face.training.build_backbone import build_backbone, precision
from keras_face.training.named_prototypes import read_prototypes

logger = logging.getLogger("keras_face")


class Teacher:
    """A trained model within the graph of another's training; computes in float32, and no gradient goes into it.

    To be made within the strategy's scope. It is no part of the student's checkpoints: a run that goes on reads it
    again.

    Args:
        embedder: The model.
        model_path: Where it is from: with `identities` a run folder or a checkpoint.
        identities: The student's identities, in the order of their labels: the teacher's prototypes of them are read
            from its checkpoint; None: only its embeddings are wanted.

    Call arguments:
        images: uint8 [batch, height, width, 3], RGB; fitted to the size that the teacher was trained for.

    Raises: ValueError if it does not know all of the identities.
    """

    def __init__(
        self,
        embedder: Embedder | ServedModel,
        model_path: str | os.PathLike,
        identities: Sequence[str] | None = None,
    ):
        self._embedder = embedder
        self.name = embedder.name
        self.embedding_size = embedder.embedding_size
        self.image_size: tuple[int, int] = embedder.image_size
        self.template: str | None = embedder.facts.get("template") if isinstance(embedder, Embedder) else None
        self.num_identities: int | None = None
        if identities is None:
            return
        known = read_prototypes(model_path)
        prototypes, here = known.of(identities)
        if len(here) < len(identities):
            missing = sorted(set(range(len(identities))) - set(here.tolist()))
            raise ValueError(
                f"{known.source}: expected a teacher that knows all {len(identities)} people of the training data, "
                f"{len(missing)} are unknown to it, among them {identities[missing[0]]}"
            )
        if prototypes.shape[2] != self.embedding_size:
            raise ValueError(
                f"{known.source}: expected prototypes of {self.embedding_size} numbers as in {self.name}, "
                f"got {prototypes.shape[2]}"
            )
        self.num_identities = len(identities)
        self._prototypes = tf.Variable(
            np.concatenate(list(prototypes)), trainable=False, dtype=tf.float32, name="teacher_prototypes"
        )

    def __call__(self, images: tf.Tensor) -> TeacherOutput:
        embeddings = self._embedder.signature(images=fit(images, self._embedder.image_size))["embedding"]
        embeddings = tf.stop_gradient(tf.ensure_shape(embeddings, [None, self.embedding_size]))
        if self.num_identities is None:
            return TeacherOutput(embeddings, None)
        no_rows = tf.zeros(tf.shape(embeddings)[:1], tf.int32)  # the own products are not asked for
        cosines, _ = products(embeddings, self._prototypes, no_rows, normalise=True)
        if cosines.shape[1] != self.num_identities:
            cosines = nearest(cosines, identities=self.num_identities)
        return TeacherOutput(embeddings, tf.stop_gradient(cosines))


def read_teacher(
    config: TeacherConfig, loss_weights: Mapping[str, float], identities: Sequence[str], template: str
) -> Teacher | None:
    """Returns the teacher that a configuration asks for; None if it asks for none. Within the strategy's scope.

    Args:
        config: The section [teacher].
        loss_weights: Weights of the further losses, by name.
        identities: The student's, in the order of their labels.
        template: What its crops are aligned to.

    Raises: ValueError as `build_embedder` and `Teacher`.
    """
    if not config.model_path:
        return None
    by_identity = config.mask != "none" or "logit_distillation" in loss_weights
    teacher = Teacher(build_embedder(config.model_path), config.model_path, identities if by_identity else None)
    logger.info(
        "the teacher is %s, embeddings of %d numbers%s",
        teacher.name,
        teacher.embedding_size,
        f", prototypes of all {len(identities)} people" if by_identity else "",
    )
    if templates.differ(teacher.template, template, teacher.image_size):
        logger.warning("the teacher saw crops aligned to %s, those here are to %s", teacher.template, template)
    return teacher


def build_embedder(model_path: str | os.PathLike) -> Embedder | ServedModel:
    """Returns the embedder of a trained model: of its export, or where it has none of its newest checkpoint.

    Args:
        model_path: SavedModel folder, folder of numbered ones, run folder, or a checkpoint in one, whose network is
            then the one that the run's config.ini describes.

    Raises: ValueError if there is neither.
    """
    try:
        find_version(model_path)
    except ValueError:
        folders = (Path(model_path), *Path(model_path).parents[:2])
        run = next((folder for folder in folders if (folder / "config.ini").is_file()), None)
        if run is None:
            raise ValueError(
                f"{model_path}: expected an exported model, or a run's folder or checkpoint, found none"
            ) from None
        config = load(run / "config.ini")
        with precision("float32"):
            backbone = build_backbone(config.model, config.data.image_size)
        return ServedModel(backbone, name=load_weights(backbone, model_path), pixel_divisor=config.data.standardise)
    return load_embedder(model_path)
