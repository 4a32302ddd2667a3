"""From a status to a stored acknowledgement: committed, and the counters fit (rule 14).

Also here: the first counters of a channel whose history is not known (the anchor), and the ranges
that hold rows which the server refused after it had accepted them (rule 15).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from common.identity import Position
from common.ship_state import Acknowledgement
from shipper.dead_letters import DeadLetter
from shipper.graves import Graves
from shipper.ports import ProgressPort, World
from shipper.protocol.channel import Channel
from shipper.protocol.events import ChannelStatus
from shipper.protocol.limits import Limits
from shipper.protocol.payload import Sending
from shipper.protocol.reconcile import START
from shipper.protocol.window import Counters
from shipper.resumption import Resumption
from shipper.walk import rows_between

IMBALANCE_REMEDY: Final = "stop thermal-shipper, then look: thermal-shipper settle"
"""Said with the alarm of counters that stay wrong."""


@dataclass(slots=True)
class _Stable:
    """Token and counters of the last poll, and since when they are so."""

    seen: tuple[str | None, Counters]
    since_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one acknowledgement told.

    Attributes:
        clean: whether no row error came with it.
        batches: batches of this session that it covers; 0: only what was sent before.
    """

    clean: bool
    batches: int


class Settlement:
    """One session's settling; made anew at each open.

    Args:
        world: the outside.
        limits: waits.
        resumption: how the session began.
        channel: its machine.
        graves: how refused rows are kept.
    """

    def __init__(
        self,
        world: World,
        limits: Limits,
        resumption: Resumption,
        channel: Channel,
        graves: Graves,
    ) -> None:
        self._world = world
        self._limits = limits
        self._resumption = resumption
        self._channel = channel
        self._graves = graves
        self._stable: _Stable | None = None
        self._imbalance_since_s: float | None = None
        self._alarmed = False
        self.anchored = resumption.anchored
        self.in_doubt = resumption.in_doubt

    @property
    def unsettled(self) -> bool:
        """Whether committed rows wait for their counters."""
        return self._channel.marks.acknowledged < self._channel.marks.committed

    def reported(self, status: ChannelStatus, now_s: float) -> Outcome | None:
        """Take a status that the channel has processed.

        Returns:
            What was settled; ``None``: nothing.

        Raises:
            SpoolError: a file cannot be read or written; the next status tries again.
        """
        counters = Counters(status.rows_inserted, status.rows_error)
        if not self.anchored:
            return self._anchor(status, counters, now_s)
        window = self._channel.window
        if not window.balanced(counters):
            self._imbalance(counters, now_s)
            return None
        self._imbalance_since_s = None
        self._alarmed = False
        if not self.unsettled:
            return None
        return self._acknowledge(status, counters, window.base)

    def _acknowledge(self, status: ChannelStatus, counters: Counters, base: Counters) -> Outcome:
        """Store committed as acknowledged."""
        channel = self._channel
        through, after = channel.marks.committed, channel.marks.acknowledged
        errors = counters.errors - base.errors
        held: Iterator[DeadLetter] = iter(())
        if errors > 0:
            bad = channel.window.bound(status.error_upper_bound)
            self._tell_rejected(errors, after, bad, status)
            why = ("rejected", status.last_error)
            held = held_ranges(self._world, self._graves, (after, bad), why)
        if through >= self.in_doubt:
            self.in_doubt = START
        mark = None if self.in_doubt == START else self._resumption.in_doubt_mark
        # Across two incarnations of a channel the acknowledgement comes first: a birth date stored
        # without it would hold the new counters against the old place at the next open.
        self._world.ledger.acknowledge(
            Acknowledgement(status.committed, channel.window.epoch, through.seq),
            rows_inserted=counters.inserted,
            rows_error=counters.errors,
            held=held,
            in_doubt=mark,
        )
        if not self.anchored:
            self._world.ledger.retarget(
                self._resumption.target,
                status.created_on_ms,
                mark,
                rows_inserted=counters.inserted,
                rows_error=counters.errors,
            )
            self.anchored = True
        self._world.observer.committed(channel.window.rows_committed)
        batches = channel.window.settle(counters)
        channel.acknowledged()
        return Outcome(clean=errors <= 0, batches=batches)

    def _anchor(self, status: ChannelStatus, counters: Counters, now_s: float) -> Outcome | None:
        """Wait until token and counters have stood still, then take them for the base."""
        seen = (status.committed, counters)
        if self._stable is None or self._stable.seen != seen:
            self._stable = _Stable(seen, now_s)
        if now_s - self._stable.since_s < self._limits.stable_s:
            return None
        progress = self._world.ledger.progress()
        same = (progress.target, progress.created_on_ms) == (
            self._resumption.target,
            status.created_on_ms,
        )
        if same and not self._shown(counters, progress):
            self._imbalance(counters, now_s)
            return None
        # Of another incarnation no error was ever looked at.
        return self._acknowledge(
            status, counters, Counters(0, progress.rows_error_base if same else 0)
        )

    def _shown(self, counters: Counters, progress: ProgressPort) -> bool:
        """Whether the counters show at least the stored rows that the token has passed over.

        Rows may be gone from the spool, so more may be counted; fewer cannot be: then somebody set
        the token by hand, and what it names was never inserted (rule 14).
        """
        marks = self._channel.marks
        after, through = marks.acknowledged, marks.committed
        mark = progress.acknowledged
        place = mark and self._resumption.lineage.position(mark.epoch, mark.seq)
        if through <= after or (mark is not None and place != after):
            # The epoch of the stored place may be lost: its counters are of no place we know.
            return True
        stored = self._world.spool.count_between(None if after == START else after, through)
        base = Counters(progress.rows_inserted_base, progress.rows_error_base)
        return counters.rows >= base.rows + stored

    def _tell_rejected(
        self, errors: int, after: Position, through: Position, status: ChannelStatus
    ) -> None:
        detail: dict[str, object] = {
            "rows": errors,
            "after": list(after),
            "through": list(through),
            "message": status.last_error,
            "upper_bound": status.error_upper_bound,
        }
        self._tell("rows_rejected", detail)

    def _imbalance(self, counters: Counters, now_s: float) -> None:
        """Counters that stay wrong keep the rows and raise an alarm.

        Lagging ones are only waited for.
        """
        if self._imbalance_since_s is None:
            self._imbalance_since_s = now_s
        if self._alarmed or now_s - self._imbalance_since_s < self._limits.imbalance_s:
            return
        self._alarmed = True
        window = self._channel.window
        detail: dict[str, object] = {
            "sent": window.rows_committed,
            "inserted": counters.inserted - window.base.inserted,
            "errors": counters.errors - window.base.errors,
            "token": window.token,
        }
        self._tell("imbalance", detail, f"; {IMBALANCE_REMEDY}")

    def _tell(self, kind: str, detail: dict[str, object], remedy: str = "") -> None:
        text = json.dumps(detail, separators=(",", ":"))
        self._world.ledger.add_event(kind, text, self._world.clock.realtime_ns())
        self._world.observer.alarm(kind, text + remedy)


def held_ranges(
    world: World, graves: Graves, between: tuple[Position, Position], why: tuple[str, str]
) -> Iterator[DeadLetter]:
    """The rows that refused ones can be among, as letters of a bounded size.

    Args:
        world: spool and clock.
        graves: how a row is kept.
        between: rows after the first place, through the second.
        why: reason and message of the letters.
    """
    now_us = world.clock.realtime_ns() // 1000
    for rows in rows_between(world.spool, *between):
        offset = world.spool.boot_offset_ns(rows[0].origin.boot_id)
        lines = b"".join(graves.kept(row, Sending(offset)) for row in rows)
        ends = (rows[0].seq, rows[-1].seq)
        if lines:
            yield DeadLetter("range", rows[0].origin.epoch, *ends, *why, lines, now_us)
