"""What a command tells before its own first line: nothing."""

import os
import subprocess
import sys

from keras_face.commands import quiet


def test_tensorflow_tells_nothing_where_there_is_no_gpu_and_nothing_is_wrong(repository):
    code = (
        "import keras_face.commands; from keras_face.backend import tf;"
        "tf.config.list_logical_devices(); print(len(tf.constant([1.0, 2.0])))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    if os.environ.get("CUDA_VISIBLE_DEVICES") or not os.path.exists("/dev/nvidia0"):
        assert done.stderr == ""


def test_lines_that_are_always_said_are_left_out_and_others_are_told(capfd):
    with quiet._without(("no GPU",)):
        os.write(2, b"I0000 there is no GPU\nkept 1\n")
        os.write(2, b"kept 2\n")
    os.write(2, b"there is no GPU after it\n")
    assert capfd.readouterr().err == "kept 1\nkept 2\nthere is no GPU after it\n"


def test_what_was_told_before_the_end_of_a_process_is_not_lost(repository):
    code = (
        "import os; from keras_face.commands import quiet\n"
        "with quiet._without(('no GPU',)): os.write(2, b'no AVX\\n'); os.abort()"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode < 0
    assert "no AVX\n" in done.stderr
