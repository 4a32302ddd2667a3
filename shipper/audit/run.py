"""One audit: both files are read, the server is asked once, and all of it is judged."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from common.clock import Clock
from common.config import load
from common.errors import ExitCode, ThermalError
from common.lock import holder
from common.redaction import SECRETS
from common.spool.schema import COLLECTOR_LOCK, SHIPPER_LOCK
from shipper.audit.facts import Facts, ServerFacts
from shipper.audit.judge import Audit, judge
from shipper.audit.server import ask
from shipper.audit.ship import read_ship
from shipper.audit.spool import Advance, read_spool
from shipper.check import EXIT, Check, run_stage
from shipper.text import grouped

EXIT_UNEXPLAINED: Final = 1
_PROGRESS_S: Final = 2.0

Say = Callable[[str], None]
"""Shows a line to whoever waits."""


class Ended(ThermalError):
    """Asked to stop before the end."""

    exit_code = ExitCode.TEMPFAIL


def audit(config: Path, clock: Clock, say: Say, *, offline: bool) -> tuple[Audit, int]:
    """Read, ask, judge.

    Args:
        config: the configuration file.
        clock: the machine's; its stop event ends the reading.
        say: told how far the reading is, when it takes long.
        offline: do not ask the server.

    Returns:
        The audit and the exit status.

    Raises:
        ThermalError: a file cannot be read, or the audit was asked to stop.
    """
    settings = load(config)
    directory = settings.spool.directory
    spool = read_spool(directory, lambda: read_ship(directory), _progress(clock, say))
    server, unasked, status = None, "not asked, --offline", 0
    if not offline:
        server, unasked, status = _ask(config, clock, directory)
    facts = Facts(
        spool,
        read_ship(directory),
        server,
        collector_runs=holder(directory / COLLECTOR_LOCK).startswith("process "),
        shipper_runs=holder(directory / SHIPPER_LOCK).startswith("process "),
    )
    found = judge(facts, unasked)
    return found, EXIT_UNEXPLAINED if found.unexplained else status


def _ask(config: Path, clock: Clock, directory: Path) -> tuple[ServerFacts | None, str, int]:
    """The server's facts; or why there are none, and the exit status of that."""
    checked = Check(config, clock, SECRETS.hide)
    answers: list[ServerFacts] = []

    def question() -> str:
        answers.append(ask(checked, directory))
        return "answered"

    try:
        for result in checked.stages():
            if not result.ok:
                break
        else:
            result = run_stage("pipe", question, EXIT["pipe"])
    finally:
        checked.close()
    if result.ok:
        return answers[0], "", 0
    remedy = f"; try: {result.remedy}" if result.remedy else ""
    return None, f"{result.message} ({result.code}){remedy}", result.exit_status


def _progress(clock: Clock, say: Say) -> Advance:
    """Tells how far the reading is, when it takes long and somebody looks."""
    told_s = clock.monotonic_s()

    def advance(rows: int) -> None:
        nonlocal told_s
        if clock.sleep(0.0):
            raise Ended("the audit was stopped before its end", hint="run it again")
        if clock.monotonic_s() - told_s >= _PROGRESS_S:
            told_s = clock.monotonic_s()
            say(f"{grouped(rows)} rows read")

    return advance
