"""Says on stderr how far a long job is, and at its end what became of it."""

import sys
from typing import Final

from common.clock import Clock
from common.errors import ExitCode
from common.redaction import SECRETS
from shipper.backfill.courier import Ending, Headway
from shipper.text import grouped

EVERY_S: Final = 2.0
EXIT_REFUSED: Final = 1
"""Some rows were refused again."""


class Teller:
    """A line every two seconds while rows are on their way, and when the reason to wait changes.

    Args:
        clock: the machine's.
        total: rows of the job; ``None``: not counted.
    """

    def __init__(self, clock: Clock, total: int | None) -> None:
        self.progress = Headway(self._changed)
        self._clock = clock
        self._total = "" if total is None else f" of {grouped(total)}"
        self._told_s = clock.monotonic_s()
        self._reason = ""

    def _changed(self, progress: Headway) -> None:
        now_s = self._clock.monotonic_s()
        if progress.reason == self._reason and now_s - self._told_s < EVERY_S:
            return
        self._told_s, self._reason = now_s, progress.reason
        waiting = f"; waiting: {progress.reason}" if progress.reason else ""
        say(
            f"{grouped(progress.accepted_rows)} rows sent, "
            f"{grouped(progress.committed_rows)} committed{self._total}{waiting}"
        )


def say(text: str) -> None:
    """One line on stderr: stdout is for results."""
    print(SECRETS.clean(text), file=sys.stderr, flush=True)


def unfinished(ending: Ending, progress: Headway, again: str) -> int:
    """Say why a job did not come to its end, and what to do; returns the exit status."""
    kinds = [f"{kind}: {text}" for kind, text in progress.alarms]
    why = {
        Ending.STOPPED: "stopped on the way",
        Ending.QUIET: f"nothing moved for long ({progress.reason or 'no commit'})",
        Ending.TABLE_AT_FAULT: "the table refuses whatever it is sent",
    }.get(ending, "the server refuses the channel")
    for line in kinds[-3:]:
        say(line)
    say(f"Error: {why}; the job is kept, nothing is lost and nothing will be sent twice")
    remedy = {
        Ending.TABLE_AT_FAULT: f"mend the table (docs/operations.md), then {again}",
        Ending.TROUBLE: f"thermal-shipper check --send-test 1, then {again}",
    }.get(ending, again)
    say(f"Try: {remedy}")
    refused = ending is Ending.TABLE_AT_FAULT
    return EXIT_REFUSED if refused else int(ExitCode.TEMPFAIL)
