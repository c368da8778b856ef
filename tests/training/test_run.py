"""The real program on a shrunk configuration: drawn people, a narrow network, a few steps.

What of the loop needs no network is in test_loop.py, test_checkpoints.py, test_feed.py and test_validation.py.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import short_networks

from keras_face import config
from keras_face.backend import tf
from keras_face.export import FACTS, load_embedder
from keras_face.synthetic.writing import write_ytf_style
from keras_face.training.run import train

SMALL = [
    "run.deterministic=True",
    "run.strategy=one_device",
    "data.image_size=32,32",
    "data.standardise=127.5",
    "data.shuffle_buffer=64",
    "augmentation.shift=0.1",
    "synthetic.people=12",
    "synthetic.photos_per_person=6",
    "model.backbone=sphereface4",  # the quickest to begin
    "model.width=0.2",
    "model.dropout=0.3",
    "model.embedding_size=16",
    "schedule.warmup_steps=2",
    "schedule.learning_rate=0.02",
    "training.batch_size=8",
    "training.steps=40",
    "training.validate_interval=0",
    "training.ckpt_interval=2",
    "training.summary_interval=5",
    "training.show_info_interval=1",
    "validation.baselines=False",
    "lfw.enable=False",
    "ytf.enable=False",
]


def settings(output_dir, *more):
    return [*SMALL, f"run.output_dir={output_dir}", *more]


def run(output_dir, *more):
    return train(config.load(config.QUICK_START, settings(output_dir, *more)))


def command(output_dir, *more):
    sets = [part for override in settings(output_dir, *more) for part in ("--set", override)]
    return [sys.executable, "-m", "train_centre", *sets]


@contextlib.contextmanager
def started(output_dir, repository, *more):
    """Starts the program, waits until it is about to train, and waits for its end."""
    with subprocess.Popen(
        command(output_dir, *more), cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("training "):
                break
        yield process


def checkpoint(folder, step):
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def assert_equal_bits(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        if not name.startswith("save_counter"):
            np.testing.assert_array_equal(value, right[name], err_msg=name)


def shown(folder):
    """Returns what TensorBoard has of a run: the last value of each tag."""
    found = {}
    for path in folder.glob("summaries/*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found |= {value.tag: tf.make_ndarray(value.tensor) for value in event.summary.value}
    return found


def tags(folder):
    return set(shown(folder))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder)
    return folder


def test_a_run_killed_at_any_moment_and_started_again_ends_in_identical_bits(uninterrupted, tmp_path, repository):
    """SIGKILL at moments that are spread over the run, mid-step and mid-save alike, until it has come to its end."""
    kills = 0
    for seconds in (0.3, 0.1):
        with started(tmp_path, repository) as process:
            before = set(tmp_path.glob("checkpoints/ckpt-*.index"))
            while process.poll() is None and set(tmp_path.glob("checkpoints/ckpt-*.index")) <= before:
                time.sleep(0.01)
            time.sleep(seconds)
            process.kill()
        kills += process.returncode == -signal.SIGKILL
    assert kills, "every run came to its end before it was killed"
    run(tmp_path)
    assert_equal_bits(checkpoint(uninterrupted, 40), checkpoint(tmp_path, 40))


def test_a_network_with_statistics_and_dropout_goes_on_from_any_checkpoint_to_identical_bits(tmp_path):
    network = ["model.backbone=iresnet18", "model.width=0.1", "training.steps=4"]
    with short_networks.shortened("iresnet18"):
        run(tmp_path / "whole", *network)
    shutil.copytree(tmp_path / "whole", tmp_path / "rest", ignore=lambda *_: ["ckpt-4.index", "checkpoint", "export"])
    (tmp_path / "rest" / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"')
    with short_networks.shortened("iresnet18"):
        run(tmp_path / "rest", *network)
    assert "at step 2 of 4" in (tmp_path / "rest" / "train.log").read_text()  # not from the beginning
    assert_equal_bits(checkpoint(tmp_path / "whole", 4), checkpoint(tmp_path / "rest", 4))


def test_a_compiled_run_says_so_and_goes_on_to_identical_bits(tmp_path):
    compiled = ["run.jit=True", "training.steps=4", "training.steps_per_call=2"]
    run(tmp_path / "whole", *compiled)
    shutil.copytree(tmp_path / "whole", tmp_path / "rest", ignore=lambda *_: ["ckpt-4.index", "checkpoint", "export"])
    (tmp_path / "rest" / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"')
    run(tmp_path / "rest", *compiled)
    first, *said = (tmp_path / "rest" / "train.log").read_text().splitlines()
    assert re.search(r"on CPU, \d+ cores, float32, compiled", first)
    assert any("compiling, about a minute" in line for line in said)
    assert_equal_bits(checkpoint(tmp_path / "whole", 4), checkpoint(tmp_path / "rest", 4))


def test_two_logical_cpus_end_in_the_weights_of_one_device(tmp_path):
    # Gentle settings: with large steps rounding errors, not the replicas, would soon tell the two apart.
    gentle = [
        "training.steps=2",
        "training.batch_size=16",
        "loss arcface.scale=8",
        "loss angular_centre.scale=8",
        "schedule.learning_rate=0.001",
    ]
    run(tmp_path / "one", *gentle)
    run(tmp_path / "two", *gentle, "run.strategy=mirrored", "run.logical_cpus=2")
    one, two = checkpoint(tmp_path / "one", 2), checkpoint(tmp_path / "two", 2)
    for name, value in one.items():
        if not name.startswith("save_counter"):
            np.testing.assert_allclose(value, two[name], atol=1e-5, err_msg=name)


def test_the_written_configuration_can_be_run_again_as_it_is(uninterrupted):
    again = config.load(uninterrupted / "config.ini")
    assert again == config.load(config.QUICK_START, settings(uninterrupted))


def test_the_last_checkpoints_are_kept_and_tensorboard_has_what_was_seen(uninterrupted):
    kept = sorted(path.name for path in uninterrupted.glob("checkpoints/ckpt-*.index"))
    assert kept == ["ckpt-36.index", "ckpt-38.index", "ckpt-40.index"]
    assert tags(uninterrupted) >= {
        "train/loss", "train/arcface", "train/angular_centre", "train/accuracy", "train/learning_rate",
        "train/embedding_norm", "train/target_angle", "train/crops",
    }  # fmt: skip


def test_tensorboard_has_the_configuration_and_the_speed(uninterrupted):
    found = shown(uninterrupted)
    text = found["run/config"].item().decode()
    told = [line.removeprefix("    ") for line in text.splitlines()]  # a block of code, in Markdown
    assert told == (uninterrupted / "config.ini").read_text().splitlines()
    [logged] = re.findall(r"trained 40 steps, ([\d.]+) images/s", (uninterrupted / "train.log").read_text())
    assert found["run/images_per_second"] == pytest.approx(float(logged), abs=0.06)
    assert not [tag for tag in found if tag.startswith("final/")]  # no test set is enabled


def test_the_export_standardises_as_the_training_did(uninterrupted):
    facts = json.loads((uninterrupted / "export" / "40" / FACTS).read_text())
    assert facts["pixel_divisor"] == 127.5


def test_the_export_holds_the_averaged_weights(uninterrupted):
    values = checkpoint(uninterrupted, 40)
    averages = [values[name] for name in values if "average/averages" in name]
    exported = tf.saved_model.load(str(uninterrupted / "export" / "40")).weights_in_order
    shapes = {tuple(variable.shape): variable.numpy() for variable in exported}
    dense = max(averages, key=lambda value: value.size)
    np.testing.assert_array_equal(shapes[dense.shape], dense)


def test_training_measures_keeps_the_best_and_beats_its_baselines(tmp_path):
    found = run(
        tmp_path,
        "run.deterministic=False",
        "synthetic.people=60",
        "synthetic.photos_per_person=10",
        "synthetic.difficulty=0.4",
        "synthetic.test_difficulty=0.4",
        "schedule.learning_rate=0.05",
        "loss arcface.margin=0.1",
        "loss arcface.scale=16",
        "loss angular_centre.scale=16",
        "loss angular_centre.weight=0",
        "model.backbone=iresnet18",
        "model.width=0.25",
        "model.embedding_size=64",
        "model.dropout=0",
        "training.steps=120",
        "training.batch_size=32",
        "training.validate_interval=40",
        "validation.best=lfw",
        "validation.baselines=True",
        "lfw.enable=True",
    )
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results == json.loads(json.dumps(found["results"]))
    accuracy = {row["model"].split("/")[-1]: row["accuracy"]["mean"] for row in results}
    best = int(
        tf.train.load_checkpoint(str(tmp_path / "checkpoints" / "best")).get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE")
    )
    assert accuracy[str(best)] > max(accuracy["grey pixels"], accuracy["untrained"])
    assert load_embedder(tmp_path).facts["step"] == best
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"lfw_roc.png", "lfw_histogram.png"}
    log = (tmp_path / "train.log").read_text()
    assert log.count("lfw 0.") >= 3
    assert tags(tmp_path) >= {"validation/lfw", "validation/lfw_false_accepts", "validation/lfw_false_rejects"}
    assert results[0]["protocol"].startswith("drawn pairs in LFW's form")
    final = {tag: float(value) for tag, value in shown(tmp_path).items() if tag.startswith("final/")}
    assert final == {
        f"final/lfw/{name}": pytest.approx(value, abs=1e-6)
        for name, value in {
            "accuracy": results[0]["accuracy"]["mean"],
            "auc": results[0]["auc"],
            "equal_error_rate": results[0]["equal_error_rate"],
            "d_prime": results[0]["d_prime"],
            **{
                f"tar_at_far_{each['far']:g}": each["tar"]
                for each in results[0]["tar_at_far"]
                if each["tar"] is not None
            },
        }.items()
    }


def test_triplet_fine_tuning_starts_from_the_exported_weights(uninterrupted, tmp_path):
    run(
        tmp_path,
        "loss.head=none",
        "loss angular_centre.weight=0",
        "loss batch_hard_triplet.weight=10",
        "data.images_per_identity=4",
        f"model.model_path={uninterrupted}",
        "schedule.learning_rate=0",
        "training.steps=1",
        "optimizer.ema=0",
        "optimizer.weight_decay=0",
    )
    photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    # With learning rate 0 only the moving statistics of batch normalisation can move, by a tenth of one batch.
    before, after = load_embedder(uninterrupted)(photos), load_embedder(tmp_path)(photos)
    assert np.sum(before * after, axis=1).min() > 0.8
    log = (tmp_path / "train.log").read_text()
    assert f"starting from the weights of {uninterrupted}" in log


@pytest.mark.parametrize(
    "more, part",
    [
        (["data.train=nobody", "nobody.records=/nowhere"], "/nowhere"),
        (["model.backbone=iresnet_18"], "[model] backbone: unknown backbone 'iresnet_18'; did you mean 'iresnet18'?"),
        (["model.model_path=/nowhere"], "/nowhere"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, more, part):
    with pytest.raises(ValueError, match=r"\w") as raised:
        run(tmp_path, *more)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["model.backbone=iresnet_18", "loss.head=arcfase"])
def test_a_wrong_name_is_met_before_anything_is_drawn_or_written(tmp_path, name):
    with pytest.raises(ValueError, match="did you mean"):
        run(tmp_path / "new", name)
    assert not (tmp_path / "new").exists()


def test_the_program_prints_a_mistake_without_a_stack_trace(tmp_path, command):
    done = command("train_centre", "--set", f"run.output_dir={tmp_path}", "--set", "training.stepz=3")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: --set: [training] stepz: unknown key 'stepz'; did you mean 'steps'? known are "
    )


@contextlib.contextmanager
def two_workers(folder, repository, *more):
    """Starts the program twice, on one cluster, with one output `out`; what they print is in `log0` and `log1`."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    cluster = {"worker": [f"localhost:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(task), "TMPDIR": str(folder)}
        several = ["run.strategy=multi_worker", "run.deterministic=False", "synthetic.people=4", *more]
        with (folder / f"log{index}").open("w") as log:
            workers.append(
                subprocess.Popen(
                    command(folder / "out", *several),
                    cwd=repository,
                    env={**os.environ, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def log_of(folder, index):
    return (folder / f"log{index}").read_text(errors="replace")


def test_two_workers_train_one_model_which_the_chief_saves_and_exports(tmp_path, repository):
    with two_workers(tmp_path, repository, "training.steps=2") as workers:
        for index, worker in enumerate(workers):
            assert worker.wait(timeout=300) == 0, log_of(tmp_path, index)[-2000:]
    assert "on 2 replicas" in (tmp_path / "log0").read_text()
    assert load_embedder(tmp_path / "out" / "export").embedding_size == 16
    assert not list(tmp_path.glob("keras_face_worker*"))  # what the other worker had to write, and nobody reads


def test_a_list_of_photos_trains_and_a_list_of_pairs_of_frames_validates(uninterrupted, tmp_path):
    """margin-centre-face's roads: `[WebFace] train_list` with `prefix`, and `[ytf] pairs` while training."""
    photos = uninterrupted / "synthetic" / "train"
    people = sorted(path for path in photos.iterdir() if path.is_dir())
    lines = [f"{photo.relative_to(photos)} {label}" for label, each in enumerate(people) for photo in each.iterdir()]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    frames = tmp_path / "ytf"
    write_ytf_style(frames, num_folds=2, pairs_per_fold=3, people_per_fold=3, num_mislabelled=0, frames_per_track=2)
    tracks = sorted(frames.glob("Person_*/*"))
    of_first = [track.relative_to(frames) for track in tracks if track.parent == tracks[0].parent]
    same = [f"1,{left}/{n}.jpg,{right}/0002.jpg" for left in of_first for right in of_first for n in ("0001", "0002")]
    other = [f"0,{of_first[0]}/0001.jpg,{track.relative_to(frames)}/0001.jpg" for track in tracks[3:]]
    (tmp_path / "pairs.txt").write_text("\n".join(same + other))
    run(
        tmp_path / "run",
        "data.train=WebFace",
        f"WebFace.train_list={tmp_path / 'train.txt'}",
        f"WebFace.prefix={photos}",
        "ytf.enable=True",
        f"ytf.prefix={frames}",
        f"ytf.splits={frames / 'ytf_splits.txt'}",
        f"ytf.pairs={tmp_path / 'pairs.txt'}",
        "training.steps=2",
        "training.validate_interval=1",
    )
    log = (tmp_path / "run" / "train.log").read_text()
    assert "12 people, 72 photos, 0 skipped" in log
    assert "step 1: ytf 0." in log
    assert [
        row["protocol"].split()[0] for row in json.loads((tmp_path / "run" / "results.json").read_text())["results"]
    ]


def wait_for_training(folder, workers):
    deadline = time.monotonic() + 250
    while not all("training sph" in log_of(folder, index) for index in range(2)):
        assert [worker.poll() for worker in workers] == [None, None], log_of(folder, 0)[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(2)


def test_sigterm_to_one_of_two_workers_ends_both_at_one_step_and_where_one_dies_the_other_ends_in_a_line(
    tmp_path, repository
):
    long = ["training.steps=100000", "training.ckpt_interval=100000"]
    with two_workers(tmp_path, repository, *long) as workers:
        wait_for_training(tmp_path, workers)
        workers[1].send_signal(signal.SIGTERM)  # not the chief, which saves
        for index, worker in enumerate(workers):
            assert worker.wait(timeout=200) == 128 + signal.SIGTERM, log_of(tmp_path, index)[-2000:]
    (saved,) = (tmp_path / "out" / "checkpoints").glob("ckpt-*.index")
    step = saved.stem.removeprefix("ckpt-")
    for index in range(2):
        assert f"terminated at step {step}, saved" in log_of(tmp_path, index)
    with two_workers(tmp_path, repository, *long) as workers:
        wait_for_training(tmp_path, workers)
        workers[1].kill()
        assert workers[0].wait(timeout=200) == 1, log_of(tmp_path, 0)[-2000:]
    assert f"ckpt-{step} at step {step} of 100000" in log_of(tmp_path, 0)
    assert "error: expected all workers of TF_CONFIG to take part, but one has ended" in log_of(tmp_path, 0)
    assert "Traceback" not in log_of(tmp_path, 0)
