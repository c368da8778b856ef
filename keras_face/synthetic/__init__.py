"""Drawn people, to try a training and to test with: nobody's photographs."""

from keras_face.synthetic.writing import write_lfw_style, write_photos, write_unknown_tracks, write_ytf_style

__all__ = ["write_lfw_style", "write_photos", "write_unknown_tracks", "write_ytf_style"]
