"""Every program of examples/ runs as it is, and prints what it is there to show."""

import os
import subprocess
import sys

import pytest

SHOWN = {
    "backbone_alone": ["pixels from -0.996 to 0.996", "lengths 1 after normalising: True"],
    "evaluate_arrays": ["own people (mine), 10 folds by people", "TensorFlow was imported: False"],
    "margin_head_in_fit": ["the same after loading: True"],
    "own_loop": ["6 people, 60 photos", "step 11 again: True"],
    "same_person": [
        "another photo of the same person: similarity",
        "on new people the rate of this threshold is between",
    ],
}


def test_every_example_is_run(repository):
    assert {path.stem for path in (repository / "examples").glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_as_it_is(repository, name):
    done = subprocess.run(
        [sys.executable, f"examples/{name}.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert done.returncode == 0, done.stderr
    for line in SHOWN[name]:
        assert line in done.stdout


def test_the_notebook_runs_as_it_is(repository):
    program = """
import nbclient, nbformat
notebook = nbformat.read("examples/margin_head_in_fit.ipynb", nbformat.NO_CONVERT)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text") or list(output.get("data", {})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert done.returncode == 0, done.stderr
    assert "8 people, 96 photos" in done.stdout
    assert "image/png" in done.stdout
    assert "the same after loading: True" in done.stdout
