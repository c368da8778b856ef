"""The sections about photos: what is trained on and how it is changed, and what is measured."""

import dataclasses
import math

from keras_face.config.setting import setting


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is trained on, and how it is read."""

    train: tuple[str, ...] = setting(
        (),
        "Training datasets: names of sections, `synthetic` for drawn people, `synthetic_tracks` for drawn tracks of "
        "unknown people.",
    )
    image_size: tuple[int, ...] = setting((112, 112), "Height, width of the network's input in pixels.", 16, 1024)
    crop_from: tuple[int, ...] = setting(
        (),
        "Height, width that training photos are fitted to instead, for a random window of image_size; empty: none.",
        16,
        1024,
    )
    standardise: float = setting(
        128.0,
        "The network sees (pixel - 127.5) / this, inside of what is exported; 128: SphereFace and most since; 127.5: "
        "arcface_torch.",
        1,
        255,
    )
    hold_out: float = setting(
        0.0,
        "Share of the people of each dataset who are set apart, never trained on and measured at the end; drawn people "
        "are all trained on.",
        0,
        0.9,
    )
    hold_out_seed: int = setting(0, "Who they are: a rule about each person's name and this number.", 0, 2**31 - 1)
    balance: bool = setting(False, "Every identity equally often, instead of every photo.")
    images_per_identity: int = setting(
        0, "0: every photo is an example; K: batches of batch_size / K face sets with K photos each.", 0, 1024
    )
    shuffle_buffer: int = setting(
        8192, "Photos that are shuffled together; up to three times as many are held, encoded, for each dataset.", 1
    )


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of each training photo; see `augmentation.augmentation.Augmentation`."""

    flip: float = setting(0.5, "Probability of a horizontal mirror.", 0, 1)
    move_probability: float = setting(1.0, "Probability that shift and scale are applied.", 0, 1)
    shift: float = setting(0.0, "Largest translation, as a share of the side.", 0, 0.5)
    scale: float = setting(0.0, "Largest zoom in or out, as a share.", 0, 0.5)
    rotation_probability: float = setting(1.0, "Probability that rotation is applied.", 0, 1)
    rotation: float = setting(0.0, "Largest rotation in radians.", 0, math.pi)
    colour_probability: float = setting(
        1.0, "Probability that brightness, contrast, saturation and hue are applied.", 0, 1
    )
    brightness: float = setting(0.0, "Largest change of brightness, as a share of full scale.", 0, 1)
    contrast: float = setting(0.0, "Largest change of contrast, as a share.", 0, 0.99)
    saturation: float = setting(0.0, "Largest change of saturation, as a share.", 0, 0.99)
    hue: float = setting(0.0, "Largest turn of the colour circle, as a share of it.", 0, 0.5)
    grey: float = setting(0.0, "Probability of a grey photo.", 0, 1)
    rand_augment_probability: float = setting(1.0, "Probability of RandAugment, where it has operations.", 0, 1)
    rand_augment: int = setting(0, "Operations of RandAugment, one after the other; 0: none.", 0, 16)
    rand_augment_magnitude: float = setting(9.0, "Strength of these operations.", 0, 10)
    crop: float = setting(0.0, "Probability that all but a random rectangle is black.", 0, 1)
    crop_area: float = setting(0.2, "Smallest share of the photo that such a crop leaves.", 0.02, 1)
    low_resolution: float = setting(0.0, "Probability that a photo is scaled down and up again.", 0, 1)
    low_resolution_scale: float = setting(0.2, "Smallest scale of that.", 0.05, 1)
    blur: float = setting(0.0, "Probability of a Gaussian blur.", 0, 1)
    blur_sigma: float = setting(2.0, "Its largest standard deviation in pixels.", 0.1, 16)
    jpeg: float = setting(0.0, "Probability of a further JPEG compression.", 0, 1)
    jpeg_quality: int = setting(30, "Its lowest quality.", 1, 100)
    erase: float = setting(0.0, "Probability of erasing a random rectangle.", 0, 1)
    erase_area: float = setting(0.33, "Largest share of the photo that is erased.", 0.02, 1)
    mask: float = setting(0.0, "Probability of a drawn face mask; the crops must be aligned.", 0, 1)


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """A training dataset, in a section of the user's own name."""

    records: str = setting(
        "", "Folder of records; written first from `photos` or `train_list` where it does not exist."
    )
    photos: str = setting("", "Folder with one folder of aligned photos per person.")
    people: str = setting("", "Text file of the people to use, LFW's people format or a name a line; empty: all.")
    min_photos: int = setting(1, "People with fewer photos are left out.", 1)
    set_size: int = setting(1, "Photos of one person in a record, at most.", 1, 1024)
    weight: float = setting(
        -1.0, "Share in the mixture, relative to the others; negative: by photos, all tracks as much as all people."
    )
    train_list: str = setting("", "List file of photos, `path label` or `path,label` a line (margin-centre-face).")
    prefix: str = setting("", "Folder that the paths of train_list start from.")
    template: str = setting(
        "", "What the photos are aligned to, as arcface; empty: what their folder's own record, or the records, say."
    )
    mxrec: str = setting("", "Refused: InsightFace's .rec files must become records first.")


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """Drawn people, where `synthetic` is asked for, and drawn tracks, where `synthetic_tracks` is."""

    weight: float = setting(
        -1.0, "Share of the drawn people in the mixture; that of the tracks is in [synthetic_tracks]."
    )
    people: int = setting(200, "Drawn people to train on.", 2)
    photos_per_person: int = setting(20, "Drawn photos of each.", 2)
    tracks: int = setting(200, "Drawn tracks of unknown people, another person in each.", 1)
    frames_per_track: int = setting(8, "Frames of each.", 1)
    difficulty: float = setting(0.5, "Spread of pose, light and the rest, and likeness of the people.", 0, 1)
    test_difficulty: float = setting(
        0.5, "The same for the drawn LFW-style and YTF-style sets, of further people.", 0, 1
    )


@dataclasses.dataclass(frozen=True)
class LfwConfig:
    """A test set of pairs of photos."""

    enable: bool = setting(False, "Measure on LFW-style pairs.")
    npdata: str = setting("", "Packed pairs: margin-centre-face's lfw.np or an InsightFace .bin.")
    pairs: str = setting("", "Pairs file in LFW's format; empty: pairs.txt in prefix.")
    prefix: str = setting("", "Folder of aligned photos, Name/Name_0001.jpg; or `synthetic`.")


@dataclasses.dataclass(frozen=True)
class YtfConfig:
    """A test set of pairs of tracks."""

    enable: bool = setting(False, "Measure on YTF-style pairs of tracks.")
    pairs: str = setting(
        "", "Pairs of frames, `flag,path,path` a line, for validation while training; empty: whole tracks."
    )
    prefix: str = setting("", "Folder of aligned frames, Name/number/*.jpg; or `synthetic`.")
    splits: str = setting("", "YTF's splits file.")
    ytf_error: str = setting("", "List of wrong tracks, Name/number a line; empty: none.")
    max_frames: int = setting(0, "Frames of a track that are used, evenly spaced; 0: all.", 0)
