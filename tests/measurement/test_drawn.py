"""What is measured on drawn people says so, wherever their folder is and whatever it is called."""

import json
import shutil
import sys

import command_runs
import numpy as np
import pytest
from absl import flags

from keras_face.evaluation.features import Features, write_features
from keras_face.evaluation.protocols import Pairs
from keras_face.evaluation.protocols.drawn import drawn_name
from keras_face.evaluation.results import Origin, verify
from keras_face.evaluation.tables import table
from keras_face.formats import bin_files
from keras_face.inspection.rewriting import rewrite
from keras_face.measurement.comparison import read_measured
from keras_face.measurement.runs import Run, write_run
from keras_face.measurement.tracks import read_tracks
from keras_face.measurement.verification import read_task
from keras_face.photos.template import RECORD, is_drawn
from keras_face.records import open_dataset, write_folder
from keras_face.synthetic import writing as synthetic


@pytest.fixture(scope="module")
def lfw(tmp_path_factory):
    """Drawn pairs in a folder whose name does not say so."""
    folder = tmp_path_factory.mktemp("real") / "lfw"
    synthetic.write_lfw_style(folder, num_folds=2, pairs_per_fold=3, people_per_fold=3, photos_per_person=2)
    return folder


def test_drawn_pairs_are_named_and_marked(lfw):
    pairs = read_task(lfw).pairs
    assert pairs.protocol == "drawn pairs in LFW's form (pairs.txt), 2 folds of the file"
    assert pairs.drawn


def test_photos_or_pairs_that_are_drawn_are_enough(lfw, tmp_path):
    elsewhere = tmp_path / "pairs.txt"
    shutil.copy(lfw / "pairs.txt", elsewhere)
    assert read_task(lfw, elsewhere).pairs.drawn
    assert read_task(None, lfw / "pairs.txt").pairs.drawn
    assert not read_task(None, elsewhere).pairs.drawn


def test_it_is_the_record_that_says_it_and_no_name(lfw, tmp_path):
    moved = tmp_path / "synthetic"
    shutil.copytree(lfw, moved)
    assert is_drawn(moved / "Person_00000")
    (moved / RECORD).unlink()
    pairs = read_task(moved).pairs
    assert pairs.protocol == "LFW View 2 (pairs.txt), 2 folds of the file"
    assert not pairs.drawn
    (moved / RECORD).write_text('{"settings": {"template": "arcface"}}\n')  # as `align` leaves it
    assert not read_task(moved).pairs.drawn


def test_records_and_packed_files_of_drawn_people_say_it_too(lfw, tmp_path):
    people = tmp_path / "people"
    synthetic.write_photos(people, num_people=3, photos_per_person=2)
    write_folder(people, tmp_path / "records", progress=False)
    rewrite(tmp_path / "records", [], tmp_path / "cleaned", progress=False)
    bin_files.pack(lfw, tmp_path / "lfw.bin", progress=False)
    bin_files.unpack(tmp_path / "lfw.bin", tmp_path / "unpacked", progress=False)
    for place in ("records", "cleaned", "lfw.bin", "unpacked"):
        assert is_drawn(tmp_path / place), place
    assert read_task(tmp_path / "lfw.bin").pairs.drawn
    assert open_dataset(tmp_path / "records").template == "arcface"
    shutil.copy(tmp_path / "lfw.bin", tmp_path / "alone.bin")
    assert not read_task(tmp_path / "alone.bin").pairs.drawn
    (people / RECORD).unlink()
    write_folder(people, tmp_path / "others", progress=False)
    assert not is_drawn(tmp_path / "others")


def test_drawn_tracks_are_named_and_marked_raw_and_corrected(tmp_path):
    folder = tmp_path / "tracks"
    synthetic.write_ytf_style(
        folder, num_folds=2, pairs_per_fold=3, people_per_fold=3, frames_per_track=1, num_mislabelled=1
    )
    found = read_tracks(folder / "ytf_splits.txt", folder / "ytf-error.txt")
    start = "drawn tracks in YTF's form (ytf_splits.txt, labels as given), 2 folds by split number"
    assert [pairs.protocol for pairs in found] == [start, f"{start}, without wrong tracks"]
    assert all(pairs.drawn for pairs in found)
    shutil.copy(folder / "ytf_splits.txt", tmp_path / "splits.txt")
    assert not read_tracks(tmp_path / "splits.txt")[0].drawn
    assert read_tracks(tmp_path / "splits.txt", frames_dir=folder)[0].drawn


def test_every_protocol_can_be_one_of_drawn_people():
    assert drawn_name("own people (mine)") == "drawn people (mine)"
    assert (
        drawn_name("pairs of list.txt, 10 folds by position") == "drawn people, pairs of list.txt, 10 folds by position"
    )


def measured(drawn):
    random = np.random.default_rng(0)
    genuine = np.arange(40) % 2 == 0
    keys = tuple(tuple(f"{side}{index}" for index in range(40)) for side in "ab")
    pairs = Pairs("some pairs", *keys, genuine, np.arange(40) // 20, drawn=drawn)
    return verify(pairs, random.normal(np.where(genuine, 0.6, 0.2), 0.2), Origin("net", "data", "each photo alone"))


@pytest.mark.parametrize("drawn", [True, False])
def test_the_mark_goes_into_the_table_and_the_results_and_comes_back(tmp_path, drawn):
    summary = write_run(tmp_path, [measured(drawn)], report=False)
    assert ("drawn people: that the parts work together" in summary) == drawn
    assert json.loads((tmp_path / "results.json").read_text())["results"][0]["drawn"] is drawn
    [again] = read_measured(tmp_path)
    assert again.result.drawn is drawn
    assert again.pairs.drawn is drawn
    assert table([again.result]) == table([measured(drawn).result])


def test_thresholds_of_drawn_people_are_refused_before_anything_is_written(tmp_path):
    run = Run(str(tmp_path / "out"), model_path="nowhere", save_thresholds=True)
    with pytest.raises(ValueError, match="some pairs: expected photos of real people for --save_thresholds"):
        run.finish([measured(True)])
    assert not (tmp_path / "out").exists()
    run.refuse_drawn([measured(False).pairs])  # real ones
    Run(str(tmp_path / "out"), model_path="nowhere").refuse_drawn([measured(True).pairs])  # none are asked for


def main_of(script, *arguments):
    with command_runs.own_flags():
        sys.modules.pop(f"eval.{script}", None)
        module = __import__(f"eval.{script}", fromlist=["main"])
        flags.FLAGS([script, *map(str, arguments)])
        return module.main()


def test_commands_refuse_them_before_the_model_is_looked_at(lfw, tmp_path, monkeypatch, repository):
    monkeypatch.syspath_prepend(repository)
    people = tmp_path / "people"
    synthetic.write_photos(people, num_people=4, photos_per_person=2)
    given = ["--model_path", tmp_path / "nowhere", "--output_dir", tmp_path / "out", "--save_thresholds"]
    for script, *more in (("test_lfw", "--source", lfw), ("test_folder", "--source", people, "--folds", 2)):
        with pytest.raises(ValueError, match=r"^drawn .*: expected photos of real people for --save_thresholds"):
            main_of(script, *given, *more)


def test_a_folder_of_drawn_people_is_named_in_pairs_and_searches(tmp_path, monkeypatch, repository):
    monkeypatch.syspath_prepend(repository)
    people = tmp_path / "people"
    synthetic.write_photos(people, num_people=6, photos_per_person=3)
    names = [str(path.relative_to(people)) for path in sorted(people.glob("*/*.jpg"))]
    vectors = np.random.default_rng(0).normal(size=(len(names), 8)).astype(np.float32)
    write_features(tmp_path / "features.npz", Features.of(names, vectors))
    given = ["--features", tmp_path / "features.npz", "--source", people, "--folds", 2, "--noreport"]
    main_of("test_folder", *given, "--output_dir", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["results"][0]["protocol"].startswith("drawn people (people)")
    assert content["results"][0]["drawn"] is True
    assert content["identification"][0]["protocol"] == "drawn people (people), each photo among all others"
