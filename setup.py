"""Installs keras_face, its record writers, its evaluation scripts and the two training programs."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = Path(__file__).with_name("keras_face") / "__init__.py"

setup(
    name="keras_face",
    version=re.search(r'^__version__ = "(.+)"$', PACKAGE.read_text(encoding="utf-8"), re.MULTILINE)[1],
    description="Train, measure and export face-embedding models with TensorFlow 2 and Keras.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["keras_face*", "tfrecords_tools*", "eval*"]),
    py_modules=["train_centre", "train_triplet"],
    install_requires=[
        "tensorflow>=2.15,<2.22",
        "tf-keras>=2.15,<2.22",
        'tensorflow-addons==0.23.0; python_version < "3.12"',
        "tensorflow-datasets>=4.9.4,<5",
        "importlib_resources",  # tensorflow-datasets finds its sets by name with it, but does not ask for it
        "tensorboard>=2.15",
        "numpy>=1.23,<3",
        "opencv-python-headless>=4.8,<5",
        "mtcnn>=1.0,<2",
        "lz4",  # mtcnn's weights are packed with it, but mtcnn does not ask for it
        "absl-py>=1.4",
        "matplotlib>=3.7",
        "pillow>=10.1",
        "tqdm>=4.64",
    ],
    package_data={"keras_face": ["quick_start.ini", "py.typed"]},
    extras_require={
        "beam": ["apache-beam>=2.53"],
        "test": [
            "apache-beam>=2.53",
            "pytest>=7.4",
            "pytest-timeout>=2.2",
            "pytest-xdist>=3.5",
            "scikit-learn>=1.3",
            "tensorflow-serving-api",
            "ruff",
            "mypy",
        ],
    },
)
