"""Those who watch the drain, as one ``Observer``: metrics, log, and the status line."""

import contextlib
from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from common.errors import SpoolError
from common.logs import Log
from common.notify import Notifier
from common.spool.reader import SpoolReader
from shipper.ledger import Ledger
from shipper.metrics import ShipperMetrics
from shipper.text import grouped, span
from shipper.transport import HttpTransport

LOOK_S: Final = 5.0
"""How often backlog and status line are brought up to date."""
COUNT_S: Final = 60.0
REPEAT_S: Final = 3600.0
"""An alarm that goes on is logged again after so long."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at.

    Attributes:
        spool: for the backlog.
        ledger: for what is acknowledged.
        transport: for tokens and problems.
    """

    spool: SpoolReader
    ledger: Ledger
    transport: HttpTransport


class Watch:
    """See ``shipper.ports.Observer``; ``look`` is called between steps."""

    def __init__(self, metrics: ShipperMetrics, log: Log, notifier: Notifier, clock: Clock) -> None:
        self._metrics = metrics
        self._log = log
        self._notifier = notifier
        self._clock = clock
        self._reason = ""
        self._state = ""
        self._alarms: dict[tuple[str, str], float] = {}
        self._committed_s: float | None = None
        self._looked_s: float | None = None
        self._counted_s: float | None = None
        self._backlog: int | None = None

    def requested(self, operation: str, code: str) -> None:
        """See ``Observer``."""
        self._metrics.requested(operation, code)
        self._log.debug("request", operation=operation, code=code)

    def accepted(self, rows: int) -> None:
        """See ``Observer``."""
        self._metrics.accepted(rows)
        self._log.debug("accepted", rows=rows)

    def committed(self, rows: int) -> None:
        """See ``Observer``."""
        self._metrics.committed(rows)
        if not rows:
            return
        if self._committed_s is None:
            self._log.info("first_commit", "rows are arriving in Snowflake", rows=rows)
        self._committed_s = self._clock.monotonic_s()

    def reopened(self, cause: str) -> None:
        """See ``Observer``."""
        self._metrics.reopened(cause)
        self._log.notice("reopened", cause=cause)

    def state(self, name: str, reason: str) -> None:
        """See ``Observer``; only a change of the reason is worth a line in the log."""
        self._metrics.state(name, reason)
        self._state = name
        if reason == self._reason:
            return
        if reason:
            self._log.warning("waiting", reason, state=name)
        else:
            self._log.info("going_on", after=self._reason)
        self._reason = reason
        self._looked_s = None

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``; the same alarm is logged once an hour."""
        self._metrics.alarm(kind, message)
        now_s = self._clock.monotonic_s()
        if now_s - self._alarms.get((kind, message), -REPEAT_S) < REPEAT_S:
            return
        if len(self._alarms) >= 100:
            self._alarms.clear()
        self._alarms[kind, message] = now_s
        self._log.error("alarm", message, kind=kind)

    def look(self, watched: Watched) -> None:
        """Bring gauges and status line up to date, if it is time; reads one row and one index."""
        now_s = self._clock.monotonic_s()
        if self._looked_s is not None and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        self._backlog = backlog_rows(watched)
        if self._backlog is not None:
            self._metrics.backlog(self._backlog)
        self._look_at_letters(watched.ledger, now_s)
        self._metrics.expires(watched.transport.expiries())
        self._notifier.status(self.line(watched.transport.problem))

    def _look_at_letters(self, ledger: Ledger, now_s: float) -> None:
        """Count what was kept aside, now and then: counting takes the writer's lock."""
        if self._counted_s is not None and now_s - self._counted_s < COUNT_S:
            return
        self._counted_s = now_s
        with contextlib.suppress(SpoolError):
            self._metrics.dead_letters(ledger.dead_letters.count())

    def line(self, problem: str = "") -> str:
        """The line for ``systemctl status``.

        Args:
            problem: the transport's, in words; "" when it has none.
        """
        rows = "unknown" if self._backlog is None else grouped(self._backlog)
        age = ""
        if self._committed_s is not None:
            age = f", last commit {span(self._clock.monotonic_s() - self._committed_s)} ago"
        if self._state == "waiting":
            return f"waiting for the collector: {self._reason}"
        if problem or self._reason:
            return f"waiting: {problem or self._reason}; backlog {rows} rows{age}"
        return f"draining: backlog {rows} rows{age}"


def backlog_rows(watched: Watched) -> int | None:
    """Rows behind the acknowledged one; ``None``: spool or ledger cannot be read just now."""
    try:
        done = watched.ledger.progress().acknowledged
        place = None if done is None else watched.spool.lineage().position(done.epoch, done.seq)
        return watched.spool.backlog(place).rows
    except SpoolError:
        return None
