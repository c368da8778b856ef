"""What all commands do alike: where records go, one line for an error, a summary in the end."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from keras_face.data import records


def output_flags() -> Callable[[], records.Output]:
    """Returns a function that says where records go, after defining the flags for it: called where flags are."""
    path = flags.DEFINE_string("output_dir", None, "Folder of records to make; must not exist.", required=True)
    num_shards = flags.DEFINE_integer(
        "num_shards", None, "Files of records; default: as many as makes them about 256 MiB.", lower_bound=1
    )
    beam_runner = flags.DEFINE_string(
        "beam_runner", None, "Apache Beam's runner that writes: DirectRunner, FlinkRunner, SparkRunner, DataflowRunner."
    )
    beam_options = flags.DEFINE_multi_string(
        "beam_option", [], "An option of the runner, as --beam_option=--direct_num_workers=2; can be repeated."
    )
    return lambda: records.Output(path.value, num_shards.value, beam_runner.value, tuple(beam_options.value))


def run(work: Callable[[], object]) -> None:
    """Runs a command and ends the process: prints what it returns, or exits with it where that is a status.

    A ValueError or an OSError becomes one line on stderr and status 1.

    Args:
        work: The command; returns a summary to print, or an exit status.
    """

    def main(argv: list[str]) -> int:
        if len(argv) > 1:
            raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
        if flags.FLAGS["verbosity"].using_default_value:
            logging.set_verbosity(logging.WARNING)  # TensorFlow Datasets tells much between the progress bars
        try:
            result = work()
        except (ValueError, OSError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        if isinstance(result, int):
            return result
        print(result)
        return 0

    app.run(main)
