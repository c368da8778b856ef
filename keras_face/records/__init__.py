"""A dataset on disk, and the batches that come out of it."""

from keras_face.records.dataset import DatasetInfo, open_dataset
from keras_face.records.from_photos import write_folder, write_list
from keras_face.records.mixture import mix
from keras_face.records.streams import train_stream

__all__ = ["DatasetInfo", "mix", "open_dataset", "train_stream", "write_folder", "write_list"]
