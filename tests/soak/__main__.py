"""``python -m tests.soak``: proofs that go on for hours, and their figures in the documentation.

Interrupted, it stops with what is done; the same command goes on there.
"""

import argparse
import datetime as dt
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.soak import engine, report
from tests.soak.section import Section
from tests.soak.sections import SECTIONS
from tests.soak.state import SoakState

_NAMES = tuple(section.name for section in SECTIONS)
_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Command line; 1 means that a promise was broken."""
    options = _parser().parse_args(arguments)
    chosen = [_wanted(s, options) for s in SECTIONS if s.name in (options.only or _NAMES)]
    state = SoakState(options.state)
    until_s = None if options.hours is None else time.monotonic() + 3600 * options.hours
    effort = engine.Effort(options.processes, until_s)
    try:
        for section in chosen:
            engine.work(section, state, effort, _tell)
    except KeyboardInterrupt:
        _tell(f"interrupted; the same command goes on with {options.state}")
        return _INTERRUPTED
    violations = [text for s in chosen for text in state.of(s.name).violations]
    today = dt.datetime.now(dt.UTC).date()
    heading = (
        f"{today}, Python {platform.python_version()}, {platform.machine()}, "
        f"{options.processes} processes."
    )
    text = report.table(chosen, state.done, heading)
    print(text)
    for violation in violations[:20]:
        print(violation)
    if not options.dry_run:
        report.write(options.document, text)
    return 1 if violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--events", type=int, help="crash events of the simulation")
    parser.add_argument("--processes", type=int, default=2, help="at once (default 2)")
    parser.add_argument("--hours", type=float, help="stop after so many hours, whatever is done")
    parser.add_argument("--only", action="append", choices=_NAMES, help="this section; repeatable")
    parser.add_argument(
        "--target",
        action="append",
        type=_target,
        default=[],
        metavar="NAME=COUNT",
        help="another target for a section; repeatable",
    )
    parser.add_argument(
        "--state", type=Path, default=Path(".soak"), help="directory of what is done"
    )
    parser.add_argument("--document", type=Path, default=Path("docs/guarantees.md"))
    parser.add_argument("--dry-run", action="store_true", help="do not write the document")
    return parser


def _target(text: str) -> tuple[str, int]:
    name, separator, count = text.partition("=")
    if name not in _NAMES or not separator or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected one of {', '.join(_NAMES)}, =, count")
    return name, int(count)


def _wanted(section: Section, options: argparse.Namespace) -> Section:
    targets = dict(options.target)
    if options.events is not None:
        targets.setdefault("simulation", options.events)
    return replace(section, target=targets.get(section.name, section.target))


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
