"""``thermal-shipper audit``: its words, and the printing of what it finds."""

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Final

from common.cli import CommandLine, add_json
from common.errors import ExitCode, ThermalError

_AUDIT: Final = """\
Holds the device against the server: every number that was ever given to a row is
committed, still in the spool, told by a gap row, or kept as a dead letter; the server's
place and row counters fit to that. Each line is one of
  ok           both sides say the same
  explained    they differ, and it is known why
  waiting      it settles by itself while the services run
  audit.sql    only the table can tell: deploy/snowflake/audit.sql proves it by seq
  unexplained  somebody must look; the line says where
Reads only, beside both running services, and checks the checksum of every stored row.
Asks the server for the channel's status; the channel is not opened.
"""
_EXAMPLES: Final = """\
examples:
  thermal-shipper audit                      the whole report
  thermal-shipper audit --offline            only the two files
  thermal-shipper audit --json | jq '.findings[] | select(.level == "unexplained")'

exit status: 0 nothing is unexplained · 1 something is · 64 command line · 73 FILE cannot be
  written · 74 disk · 75 the spool was exchanged meanwhile, or asked to stop; and as of check when
  the server cannot be asked: 69 not reachable · 76 TLS or pipe · 77 sign-in · 78 configuration
"""


class NotWritten(ThermalError):
    """The report's file cannot be written."""

    exit_code = ExitCode.CANTCREAT


def add_audit(commands: CommandLine) -> None:
    """Add the command."""
    made = commands.command(
        "audit", _do_audit, "hold the device against the server, number by number", _AUDIT
    )
    made.epilog = _EXAMPLES
    add_json(made)
    made.add_argument("--offline", action="store_true", help="do not ask the server")
    made.add_argument(
        "--output", type=Path, metavar="FILE", help="write the report there, and print the verdict"
    )


def _do_audit(arguments: argparse.Namespace, stop: threading.Event) -> int:
    # What an audit needs is heavy, and the command line also answers --version.
    from common.clock import SystemClock
    from common.redaction import SECRETS
    from shipper.audit.run import audit
    from shipper.audit.text import text

    found, status = audit(arguments.config, SystemClock(stop), _say, offline=arguments.offline)
    report = json.dumps(found.shown, ensure_ascii=False) if arguments.json else text(found)
    report = SECRETS.clean(report)
    if arguments.output is None:
        print(report, flush=True)
    else:
        try:
            arguments.output.write_text(report + "\n")
        except OSError as error:
            raise NotWritten(
                f"{arguments.output}: {error.strerror}", hint="name a file that can be written"
            ) from error
        print(SECRETS.clean(found.verdict), flush=True)
    return status


def _say(line: str) -> None:
    """Progress does not mix with the report."""
    print(line, file=sys.stderr, flush=True)
