"""Errors as one line, and those that stay tracebacks."""

import logging
import resource

import pytest

from keras_face.backend import tf
from keras_face.commands.errors import one_line
from keras_face.training.log import log_to
from keras_face.training.summaries import Summaries


@pytest.fixture
def small_files():
    """Within it no file can become larger than 1,000 bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("[run] seed:\n expected 0"), "[run] seed: expected 0"),
        (FileNotFoundError(2, "No such file or directory", "/a"), "[Errno 2] No such file or directory: '/a'"),
        (
            tf.errors.ResourceExhaustedError(
                None, None, "/r/ckpt-6_temp/part-00000-of-00001.index; No space left on device"
            ),
            "/r/ckpt-6: No space left on device",
        ),
        (
            tf.errors.PermissionDeniedError(
                None, None, "{{function_node x}} /r/summaries/events; Permission denied [Op:X]"
            ),
            "/r/summaries/events: Permission denied",
        ),
        (
            tf.errors.UnavailableError(None, None, "Socket closed\nmore"),
            "expected all workers of TF_CONFIG to take part, but one has ended or cannot be reached; start all of them "
            "again, and the run goes on from its last checkpoint (Socket closed more)",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(error, line):
    assert one_line(error) == line


@pytest.mark.parametrize(
    "error", [TypeError("no"), KeyError("no"), tf.errors.InvalidArgumentError(None, None, "Incompatible shapes")]
)
def test_a_mistake_of_the_program_is_none(error):
    assert one_line(error) is None


def test_what_a_terminal_would_obey_is_written_out():
    assert one_line(ValueError("a\x1b[31mred\nb")) == "a\\x1b[31mred b"


def test_a_checkpoint_on_a_full_disk_is_named(tmp_path, small_files):
    checkpoint = tf.train.Checkpoint(value=tf.Variable(tf.random.normal([10_000])))
    with pytest.raises(tf.errors.OpError) as raised:
        checkpoint.write(str(tmp_path / "ckpt-3"))
    assert one_line(raised.value) == f"{tmp_path}/ckpt-3: File too large"


def test_summaries_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "summaries").write_text("a file")
    with pytest.raises(OSError, match="File exists") as raised:
        Summaries(tmp_path / "summaries")
    assert f"{tmp_path}/summaries" in one_line(raised.value)


def test_a_log_on_a_full_disk_is_named(tmp_path, small_files):
    def logged():
        with log_to(tmp_path):
            logging.getLogger("keras_face").info("x" * 2000)

    with pytest.raises(OSError, match="File too large") as raised:
        logged()
    assert one_line(raised.value) == f"[Errno 27] File too large: '{tmp_path}/train.log'"
