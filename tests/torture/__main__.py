"""``make torture``: the test that the best agents were put to, for both services of thermal."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from tests.demo import bench
from tests.demo.bus import BusFailed, why_no_file
from tests.demo.progress import Progress
from tests.demo.server import ServerFailed
from tests.torture.report import table
from tests.torture.run import CHANGES, Outcome, Torture, torture

DESCRIPTION: Final = """\
Put thermal to the test that other agents were put to, and print their figures beside ours.

Both installed services run, with emulated chips and an emulated server, over TLS. Every 2 to 5 s
one of the two is killed with SIGKILL. The server answers 503 to 15 % of all requests before it
carries them out, and resets the connection of 10 % after it did. Then it is healed, the rest is
drained, and the ticks, the spool and the table are compared row by row. A backlog lies in the spool
from the beginning, so that as many rows are exposed as the other agents had to carry; the table
says how many were backlog and how many live."""

EPILOG: Final = """\
examples:
  python -m tests.torture                               90 s, 8,000 rows of backlog
  python -m tests.torture --seconds 30 --backlog 2000   a short one
  python -m tests.torture --seed 7 --keep /tmp/seen     a plan that can be repeated; its files stay

exit status: 0 nothing lost, nothing doubled, every hole told by a gap row; 1 otherwise (every
difference is printed), 2 wrong arguments, 69 the world did not come up, 130 Ctrl-C."""

INTERVAL_S: Final = 0.1
COMMIT_S: Final = 0.5
TROUBLES_SHOWN: Final = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the torture; its exit status."""
    options = _parser().parse_args(arguments)
    progress = Progress(sys.stdout, shutil.get_terminal_size((160, 24)).columns)
    reason = "--no-file-bus" if options.no_file_bus else why_no_file()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    made = bench.Options(
        interval_s=INTERVAL_S, file_bus=reason is None, commit_s=COMMIT_S, changes=CHANGES,
    )
    try:
        with bench.world(made, options.keep) as world:
            if reason is not None:
                progress.say(f"I2C bus: NOT a file, but in the collector's process ({reason})")
            progress.say(
                f"{options.seconds:g} s, a row every {INTERVAL_S:g} s on top of "
                f"{options.backlog:,} rows of backlog, seed {options.seed}; a kill every 2 to 5 s"
            )
            what = Torture(options.seconds, options.backlog, options.seed)
            outcome = torture(world, what, progress.show)
    except KeyboardInterrupt:
        progress.say("Stopped; everything that was started has been ended.")
        return 130
    except (BusFailed, ServerFailed, FileExistsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return _report(progress, outcome)


def _report(progress: Progress, outcome: Outcome) -> int:
    """Print the table and what is wrong; the exit status."""
    progress.say("")
    for trouble in outcome.troubles[:TROUBLES_SHOWN]:
        progress.say(f"  {trouble}")
    if len(outcome.troubles) > TROUBLES_SHOWN:
        progress.say(f"  … and {len(outcome.troubles) - TROUBLES_SHOWN} more")
    for line in table(outcome):
        progress.say(line)
    return 1 if outcome.troubles or outcome.lost or outcome.duplicated else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=90.0, metavar="S",
        help="how long kills and faults last (default 90)",
    )
    parser.add_argument(
        "--backlog", type=_rows, default=8000, metavar="N",
        help="rows that lie in the spool before (default 8000)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the kills (default 1)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="new directory for all files, which then stay"
    )
    parser.add_argument(
        "--no-file-bus", action="store_true",
        help="give the emulated bus to the collector in its process, as where FUSE is missing",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 10 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}, expected 10 to 86400")
    return value


def _rows(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text}, expected 0 to 10000000")
    return value


if __name__ == "__main__":
    sys.exit(main())
