"""Protocols as data: who is compared with whom, and in which fold. Files are read strictly; a bad line is an error."""

from keras_face.evaluation.protocols.cfp import read_cfp
from keras_face.evaluation.protocols.identification import DroppedPhotos, Identification
from keras_face.evaluation.protocols.ijb import (
    IjbFiles,
    IjbPairs,
    IjbPhotos,
    find_ijb,
    read_ijb_identification,
    read_ijb_pairs,
    read_ijb_photos,
)
from keras_face.evaluation.protocols.lists import read_pairs
from keras_face.evaluation.protocols.masked import read_masked
from keras_face.evaluation.protocols.megaface import read_megaface, read_noises
from keras_face.evaluation.protocols.pairs import NUM_FOLDS, Dropped, Pairs, folds_by_polarity, folds_by_position
from keras_face.evaluation.protocols.people import (
    deal_people,
    folder_identification,
    folder_pairs,
    held_out_pairs,
    pairs_by_rule,
    people_pairs,
)
from keras_face.evaluation.protocols.view import read_people
from keras_face.evaluation.protocols.ytf import read_ytf_splits

__all__ = [
    "NUM_FOLDS",
    "Dropped",
    "DroppedPhotos",
    "Identification",
    "IjbFiles",
    "IjbPairs",
    "IjbPhotos",
    "Pairs",
    "deal_people",
    "find_ijb",
    "folder_identification",
    "folder_pairs",
    "folds_by_polarity",
    "folds_by_position",
    "held_out_pairs",
    "pairs_by_rule",
    "people_pairs",
    "read_cfp",
    "read_ijb_identification",
    "read_ijb_pairs",
    "read_ijb_photos",
    "read_masked",
    "read_megaface",
    "read_noises",
    "read_pairs",
    "read_people",
    "read_ytf_splits",
]
