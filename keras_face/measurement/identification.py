"""Identification: probes looked up in a gallery, with or without distractors."""

import os
from collections.abc import Sequence

import numpy as np

from keras_face.evaluation.certainty import said
from keras_face.evaluation.distractors import identify_among_distractors
from keras_face.evaluation.features import replace_noisy
from keras_face.evaluation.identification import (
    IdentificationRate,
    cmc,
    hits_interval,
    identification_rate,
    mean_average_precision,
    search,
    tpir_at_fpir,
)
from keras_face.evaluation.protocols import Identification
from keras_face.evaluation.results import IdentificationResult, Origin, keys_hash
from keras_face.evaluation.spread import effective_people
from keras_face.measurement.sources import Locate, Source
from keras_face.photos.lists import PhotoFolder

RANKS = (1, 5, 10)
FPIRS = (1e-1, 1e-2)
FARS = (1e-4, 1e-5, 1e-6)  # of MegaFace


def identify(
    protocol: Identification, probes: np.ndarray, gallery: np.ndarray, origin: Origin, *, ranks: Sequence[int] = RANKS
) -> IdentificationResult:
    """Returns the figures of probes looked up in the whole gallery at once.

    Args:
        protocol: Who is looked up among whom, without distractors.
        probes: [n, embedding_size], of its probes.
        gallery: [g, embedding_size], of its gallery.
        origin: What was measured.
        ranks: Of the closed-set rates. Where probes have no mate, TPIR at `FPIRS` come on top.

    Raises: ValueError as `identification.search`.
    """
    found = search(probes, protocol.labels()[0], gallery, protocol.labels()[1], itself=protocol.same_photo)
    people = protocol.labels()[0]
    rates = [identification_rate(found, rank, people=people) for rank in ranks]
    if not found.mated.all():
        rates += [tpir_at_fpir(found, fpir, people=people) for fpir in FPIRS]
    return IdentificationResult(
        **vars(origin),
        protocol=protocol.protocol,
        protocol_hash=_hash(protocol),
        num_probes=len(protocol.probes),
        num_gallery=len(protocol.gallery),
        cmc=tuple(cmc(found).tolist()),
        intervals=said(effective_people(np.bincount(people[found.mated]))),
        rates=tuple(rates),
        mean_average_precision=mean_average_precision(found),
        dropped=protocol.dropped,
    )


def measure_folder(source: Source, protocol: Identification, data: str, locate: Locate) -> IdentificationResult:
    """Returns the figures of people whose photos are probes and gallery at once.

    Args:
        source: Where embeddings come from.
        protocol: Its probes and gallery are keys of the same photos.
        data: Where the photos are, for the result.
        locate: From the keys to the photos.

    Raises: As the source and `identify`.
    """
    embedded = source(protocol.distinct_keys(), locate)
    features = embedded.features
    probes, gallery = (features.embeddings[features.rows(keys)] for keys in (protocol.probes, protocol.gallery))
    return identify(protocol, probes, gallery, source.origin(data, "", embedded.data_hash))


def measure_masked(
    probe_source: Source,
    gallery_source: Source,
    protocol: Identification,
    masked_dir: str | os.PathLike,
    originals_dir: str | os.PathLike,
) -> IdentificationResult:
    """Returns the figures of masked photos looked up among unmasked ones.

    Args:
        probe_source: Where embeddings of masked photos come from.
        gallery_source: Likewise, of unmasked ones; the same but for files of embeddings.
        protocol: As `read_masked`.
        masked_dir: Folder of the masked photos.
        originals_dir: Folder of the unmasked ones.

    Raises: As the sources and `identify`.
    """
    probes = probe_source(protocol.probes, PhotoFolder(masked_dir))
    gallery = gallery_source(protocol.gallery, PhotoFolder(originals_dir))
    data = f"{masked_dir} in {originals_dir}"
    origin = probe_source.origin(data, "", _joint_hash(probes.data_hash, gallery.data_hash))
    return identify(protocol, probes.features.embeddings, gallery.features.embeddings, origin)


def measure_megaface(
    probe_source: Source,
    distractor_source: Source,
    protocol: Identification,
    probes_dir: str | os.PathLike,
    distractors_dir: str | os.PathLike,
) -> IdentificationResult:
    """Returns the figures of probes among distractors: each mate ranked alone, and TAR at `FARS`.

    Args:
        probe_source: Where embeddings of probes come from.
        distractor_source: Likewise, of distractors.
        protocol: As `read_megaface`.
        probes_dir: Folder of the probes.
        distractors_dir: Folder of the distractors.

    Raises: As the sources and `identify_among_distractors`.
    """
    probes = probe_source(protocol.probes, PhotoFolder(probes_dir))
    distractors = distractor_source(protocol.distractors, PhotoFolder(distractors_dir))
    refined = replace_noisy(probes.features, protocol)
    if refined.embeddings.shape[1] != distractors.features.embeddings.shape[1]:
        raise ValueError(
            f"expected probes and distractors of one size, got {refined.embeddings.shape[1]} numbers in "
            f"{probes.features.source} and {distractors.features.embeddings.shape[1]} in {distractors.features.source}"
        )
    found = identify_among_distractors(
        refined.embeddings, protocol.labels()[0], distractors.features.embeddings, fars=FARS
    )
    origin = probe_source.origin(
        f"{probes_dir} among {distractors_dir}", "", _joint_hash(probes.data_hash, distractors.data_hash)
    )
    rates = tuple(
        IdentificationRate(
            rank,
            float(found.cmc[rank - 1]),
            hits_interval(found.hits[:, :rank].sum(axis=1), found.searches),
            found.num_searches,
        )
        for rank in RANKS
    )
    return IdentificationResult(
        **vars(origin),
        protocol=protocol.protocol,
        protocol_hash=_hash(protocol),
        num_probes=found.num_probes,
        num_gallery=found.num_probes,
        num_distractors=found.num_distractors,
        cmc=tuple(found.cmc.tolist()),
        intervals=said(effective_people(found.searches)),
        rates=rates,
        tar_at_far=found.operating_points,
        dropped=protocol.dropped,
    )


def _hash(protocol: Identification) -> str:
    probes, gallery = protocol.labels()
    numbers = b"".join(np.asarray(values, "<i8").tobytes() for values in (probes, gallery, protocol.same_photo))
    return keys_hash(protocol.probes, protocol.gallery, protocol.distractors, protocol.replaced, numbers)


def _joint_hash(first: str | None, second: str | None) -> str | None:
    return None if first is None or second is None else keys_hash([first, second])
