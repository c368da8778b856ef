"""Installs keras_face, its record writers, its evaluation scripts and the two training programs.

A package that is built where the project's address is known, by KERAS_FACE_URL or as GitHub's workflows tell it, has
that address, and the README on its page links to the files there.
"""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "keras_face" / "__init__.py"


def address() -> str:
    """Returns the address of the repository on the web; "" where nobody says it."""
    of_workflow = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")]
    return os.environ.get("KERAS_FACE_URL", "/".join(of_workflow) if all(of_workflow) else "").rstrip("/")


def readme() -> str:
    """Returns the README; where there is an address, its links to files of the repository lead there."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https?://|#)", f"]({address()}/blob/main/", text) if address() else text


def urls() -> dict[str, str]:
    """Returns the links of the package's page by their names."""
    files = {"Documentation": "docs", "Changes": "CHANGELOG.md"}
    return {"Source": address(), **{name: f"{address()}/blob/main/{file}" for name, file in files.items()}}


class WithRecipes(build_py):
    """Puts recipes/ and config.ini.example, which a clone has beside the package, into it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for path in [HERE / "config.ini.example", *sorted((HERE / "recipes").glob("*.ini"))]:
                target = Path(self.build_lib, "keras_face", path.relative_to(HERE))
                self.mkpath(str(target.parent))
                self.copy_file(str(path), str(target))


setup(
    name="keras_face",
    version=re.search(r'^__version__ = "(.+)"$', PACKAGE.read_text(encoding="utf-8"), re.MULTILINE)[1],
    description="Train, measure and export face-embedding models with TensorFlow 2 and Keras.",
    long_description=readme(),
    long_description_content_type="text/markdown",
    author="The keras_face authors",
    url=address() or None,
    project_urls=urls() if address() else {},
    license="MIT",
    keywords="face recognition, face embedding, metric learning, ArcFace, TensorFlow, Keras",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    cmdclass={"build_py": WithRecipes},
    packages=find_packages(include=["keras_face*", "tfrecords_tools*", "eval*"]),
    py_modules=["train_centre", "train_triplet"],
    entry_points={"console_scripts": ["keras-face = keras_face.commands.dispatcher:main"]},
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
        "simplejpeg>=1.7",  # libjpeg's warnings, which Pillow and OpenCV keep to themselves
        "tqdm>=4.64",
    ],
    package_data={"keras_face": ["quick_start.ini", "py.typed"]},
    extras_require={
        "beam": ["apache-beam>=2.53"],
        "gpu": ["tensorflow[and-cuda]>=2.15,<2.22"],
        "docs": ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26", "ruff"],
        "test": [
            "apache-beam>=2.53",
            "pytest>=7.4",
            "pytest-timeout>=2.2",
            "pytest-xdist>=3.5",
            "ipykernel",
            "nbclient",
            "nbformat",
            "scikit-learn>=1.3",
            "tensorflow-serving-api",
            "ruff",
            "mypy",
        ],
    },
)
