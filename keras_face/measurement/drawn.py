"""What is measured on drawn people says so: by the record that drawing leaves beside them, not by a folder's name."""

import dataclasses
import os

from keras_face.evaluation.protocols import Identification, Pairs
from keras_face.evaluation.protocols.drawn import drawn_name
from keras_face.photos.template import is_drawn


def marked_pairs(pairs: Pairs, *places: str | os.PathLike | None) -> Pairs:
    """Returns the pairs, marked and named as of drawn people if one of the files or folders they are from is.

    Raises: ValueError if the record of a folder is damaged.
    """
    if pairs.drawn or not is_drawn(*places):
        return pairs
    return dataclasses.replace(pairs, protocol=drawn_name(pairs.protocol), drawn=True)


def marked_search(protocol: Identification, *places: str | os.PathLike | None) -> Identification:
    """Returns an identification, named as of drawn people if one of the files or folders it is from is.

    Raises: as `marked_pairs`.
    """
    if not is_drawn(*places):
        return protocol
    return dataclasses.replace(protocol, protocol=drawn_name(protocol.protocol))
