"""What the user can mend becomes one line; a mistake of this program stays a traceback."""

import re

from keras_face.files import printable

# What the system says of a file, as TensorFlow repeats it.
_OF_A_FILE = re.compile(
    r"(?P<path>[^;\s][^;]*); (?P<reason>No space left on device|Disk quota exceeded|File too large|Permission denied|"
    r"Read-only file system|Not a directory|Is a directory|No such file or directory|Input/output error|"
    r"Too many open files|Stale file handle|File exists)"
)
_UNFINISHED = re.compile(r"(_temp/part-.*|\.tempstate\d*)$")  # what a checkpoint is called until it is whole


def one_line(error: BaseException) -> str | None:
    """Returns the line for an error; None for one that the user cannot mend.

    Files, settings and data are the user's, and so are workers that end and memory that is not enough.
    """
    if isinstance(error, (ValueError, OSError, ImportError, FloatingPointError)):
        return _line(str(error))
    if type(error).__module__.startswith("tensorflow."):  # not imported for an error of a command without it
        found = _of_tensorflow(error)
        return None if found is None else _line(found)
    return None


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _of_tensorflow(error: BaseException) -> str | None:
    from keras_face.backend import said_by, tf

    if not isinstance(error, tf.errors.OpError):
        return None
    said = said_by(error)
    if of_a_file := _OF_A_FILE.search(said):
        return f"{_UNFINISHED.sub('', of_a_file['path'])}: {of_a_file['reason']}"
    if isinstance(error, tf.errors.DataLossError):
        return f"expected whole files, but one is damaged: {said}"
    if isinstance(error, (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)):
        return (
            "expected all workers of TF_CONFIG to take part, but one has ended or cannot be reached; start all of them "
            f"again, and the run goes on from its last checkpoint ({said})"
        )
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return (
            f"out of memory; a smaller [training] batch_size or more [optimizer] accumulation_steps need less: {said}"
        )
    return None
