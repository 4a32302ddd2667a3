"""The command line of thermal-collector: reads the words, and calls what they ask for.

Nothing heavy is imported before it is known what to do: ``--version`` and ``--help`` are instant.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from common import __version__
from common.columns import COLUMNS, Place
from common.errors import UsageError
from common.runtime import run_service
from common.settings import DEFAULT_CONFIG

_PROGRAM: Final = "thermal-collector"

_REMOVED: Final = {
    "--simulate": "only real sensors are read",
    "--simulation": "only real sensors are read",
    "--demo": "only real sensors are read",
    "--production": "there is nothing but production",
    "--batch-size": "batches are thermal-shipper's; the collector stores every store_interval_s",
    "--interval": "set [collector] interval_s in the configuration file",
    "--fast": "choose a preset in the configuration, such as bulk",
}
"""Flags of earlier streamers, and why there are none."""

_DESCRIPTION: Final = """\
Samples the SCD4x, ICP-10125 and SGP30 of a Raspberry Pi, and the computer itself, and
stores every tick in the spool. thermal-shipper carries the rows on and runs without it.
"""

_EXAMPLES: Final = """\
examples:
  thermal-collector check                is everything in place, one line a stage
  thermal-collector probe                who answers on the bus
  thermal-collector read --json          one measurement of each sensor
  thermal-collector run --config /etc/thermal/thermal.toml

exit status: 0 done or asked to stop · 64 command line · 69 bus or sensors not there · 70 a bug
  74 disk · 75 another collector runs · 77 file refused · 78 configuration
"""

_CHECK: Final = """\
Goes through the stages config, spool, clock, bus and chips, and says what to do where one
fails. While the collector runs, its chips are left alone.
"""

_PROBE: Final = """\
Asks each chip who it is, without changing anything in it. Refused while the collector
runs: two processes on one bus spoil each other's answers.
"""

_READ: Final = """\
Starts the chips, takes one measurement of each, and prints it; the SGP30 takes 16 s.
Refused while the collector runs; its newest rows are in the spool.
"""


class _Parser(argparse.ArgumentParser):
    """Errors as everywhere else: ``Error:``, ``Try:``, status 64."""

    def error(self, message: str) -> NoReturn:
        """See ``argparse.ArgumentParser``."""
        raise UsageError(message, hint=f"{self.prog} --help; {self.format_usage().strip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return run_service(lambda stop: _run(words, stop))


def _run(words: list[str], stop: threading.Event) -> int:
    for word in words:
        flag = word.partition("=")[0]
        if flag in _REMOVED:
            raise UsageError(f"{flag} was removed: {_REMOVED[flag]}", hint=f"{_PROGRAM} --help")
    if words and words[0].startswith("--") and words[0] not in ("--help", "--version"):
        raise UsageError(f"no command before {words[0]}", hint=f"{_PROGRAM} run {' '.join(words)}")
    arguments = parser().parse_args(words)
    command: Callable[[argparse.Namespace, threading.Event], int] = arguments.command
    return command(arguments, stop)


def parser() -> argparse.ArgumentParser:
    """The whole command line; documentation and tests read it from here."""
    top = _Parser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=f"{_EXAMPLES}\n{_columns()}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"{_PROGRAM} {__version__} (Python {sys.version.split()[0]})"
    top.add_argument("--version", action="version", version=version)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    run = _command(commands, "run", "sample until told to stop; what the systemd unit starts")
    run.add_argument("--verbose", action="store_true", help="log details too")
    run.set_defaults(command=_do_run)
    check = _command(commands, "check", "see stage by stage whether sampling could work", _CHECK)
    probe = _command(commands, "probe", "ask who answers on the bus", _PROBE)
    read = _command(commands, "read", "take one measurement of each sensor", _READ)
    for made, do in ((check, _do_check), (probe, _do_probe), (read, _do_read)):
        made.add_argument("--json", action="store_true", help="one JSON object on stdout")
        made.set_defaults(command=do)
    return top


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives its type no other name


def _command(
    commands: "_Commands[_Parser]", name: str, help_: str, text: str = ""
) -> argparse.ArgumentParser:
    """One command, with ``--config``."""
    made = commands.add_parser(
        name,
        help=help_,
        description=text or help_[0].upper() + help_[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"configuration (default {DEFAULT_CONFIG})",
    )
    return made


def _columns() -> str:
    """What a row has, for ``--help``."""
    lines = ["columns of a row (NULL where nothing was measured, sensor_status tells why):"]
    width = max(len(column.name) for column in COLUMNS)
    lines += [
        f"  {column.name:{width}}  {column.comment}"
        for column in COLUMNS
        if column.place is not Place.SENDING
    ]
    return "\n".join(lines)


def _do_run(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from collector.app import SERVICE, run
    from common.config import load
    from common.logs import Log

    return run(load(arguments.config), stop, log=Log(SERVICE, verbose=arguments.verbose))


def _do_check(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from collector.cli_check import check

    return check(arguments.config, stop, as_json=arguments.json)


def _do_probe(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from collector.cli_probe import probe

    return probe(arguments.config, stop, as_json=arguments.json)


def _do_read(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from collector.cli_probe import read

    return read(arguments.config, stop, as_json=arguments.json)
