"""Every program of examples/ runs as it is, and prints what it is there to show."""

import os
import runpy
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


def in_a_process(repository, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_as_it_is(repository, name, capsys):
    example = repository / "examples" / f"{name}.py"
    if name == "evaluate_arrays":  # it says what it has not imported
        told = in_a_process(repository, example)
    else:
        runpy.run_path(str(example), run_name="__main__")
        told = capsys.readouterr().out
    for line in SHOWN[name]:
        assert line in told


def test_the_notebook_runs_as_it_is(repository):
    program = """
import nbclient, nbformat
notebook = nbformat.read("examples/margin_head_in_fit.ipynb", nbformat.NO_CONVERT)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text") or list(output.get("data", {})))
"""
    told = in_a_process(repository, "-c", program)
    assert "8 people, 96 photos" in told
    assert "image/png" in told
    assert "the same after loading: True" in told
