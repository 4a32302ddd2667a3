"""The command line of thermal-collector: reads the words, and calls what they ask for.

Nothing heavy is imported before it is known what to do: ``--version`` and ``--help`` are instant.
"""

import argparse
import threading
from collections.abc import Sequence
from typing import Final

from common.cli import CommandLine, Program, add_json
from common.columns import COLUMNS, Place

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command_line().main(argv)


def command_line() -> CommandLine:
    """The whole command line; documentation and tests read it from here."""
    program = Program(_PROGRAM, _DESCRIPTION, f"{_EXAMPLES}\n{_columns()}", _REMOVED)
    made = CommandLine(program)
    run = made.command("run", _do_run, "sample until told to stop; what the systemd unit starts")
    run.add_argument("--verbose", action="store_true", help="log details too")
    for name, do, help_, text in (
        ("check", _do_check, "see stage by stage whether sampling could work", _CHECK),
        ("probe", _do_probe, "ask who answers on the bus", _PROBE),
        ("read", _do_read, "take one measurement of each sensor", _READ),
    ):
        add_json(made.command(name, do, help_, text))
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
