"""What each event leads to beyond the next state: waits, plans, tokens, graves, alarms."""

from dataclasses import dataclass
from typing import Final

from common.identity import Install
from shipper.feed import Feed
from shipper.graves import Graves
from shipper.ports import World
from shipper.protocol.batch import Batch
from shipper.protocol.channel import SESSIONLESS, Channel, State
from shipper.protocol.cutting import Cutting, Verdict
from shipper.protocol.decide import Situation, polls_soon
from shipper.protocol.errors import DENIED
from shipper.protocol.events import (
    Abandoned,
    ChannelLost,
    ChannelOpened,
    ChannelStatus,
    Declined,
    Event,
    Misconfigured,
    Moved,
    Refused,
    RowsAccepted,
    StatusReported,
    Throttled,
    Unauthorized,
    UncommittedRows,
    Unsent,
)
from shipper.protocol.limits import Limits
from shipper.protocol.opening import OpenPlan
from shipper.protocol.pacing import Pacing
from shipper.protocol.reconcile import START
from shipper.resumption import Resumer
from shipper.settlement import Settlement

REDISCOVER_AFTER: Final = 3
"""Requests in a row that never left before the ingest host is asked for anew."""
_UNCOMMITTED: Final = "ERR_CHANNEL_HAS_UNCOMMITTED_DATA"
_CAUSES: Final = {
    "channel_recreated": "recreated",
    "token_gone": "recreated",
    "channel_not_listed": "recreated",
    "commit_stall": "stalled",
    "outcome_unknown": "retries",
}


@dataclass(slots=True)
class Machinery:
    """The parts that one drain is made of; all but the last two live as long as it does."""

    world: World
    limits: Limits
    channel: Channel
    pacing: Pacing
    plan: OpenPlan
    cutting: Cutting
    graves: Graves
    feed: Feed
    resumer: Resumer
    settlement: Settlement | None = None
    install: Install | None = None

    @property
    def situation(self) -> Situation:
        """What the next decision looks at."""
        settlement = None if self.channel.state in SESSIONLESS else self.settlement
        return Situation(
            self.channel,
            self.pacing,
            self.plan,
            self.limits,
            anchored=settlement is not None and settlement.anchored,
            unsettled=settlement is not None and settlement.unsettled,
        )


class Feedback:
    """Feeds events back into the parts."""

    def __init__(self, parts: Machinery) -> None:
        self._parts = parts

    def take(self, event: Event, now_s: float) -> None:
        """Process the answer to the request in flight.

        Raises:
            RemoteProtocolError: the server broke a promise; the channel is faulted.
            SpoolError: a file cannot be read or written.
        """
        channel = self._parts.channel
        before, batch = channel.state, channel.batch
        committed = channel.marks.committed if before is State.POLLING else None
        if isinstance(event, StatusReported) and (why := channel.lost_by(event.status)):
            event = ChannelLost(why)
        channel.process(event)
        match event:
            case ChannelOpened(_, status):
                self._opened(status, now_s)
            case RowsAccepted() if batch is not None:
                self._accepted(batch, now_s)
            case StatusReported(status):
                if committed is not None and channel.marks.committed > committed:
                    self._parts.pacing.progressed(now_s)
                self._reported(status, before, now_s)
            case Refused() if batch is not None:
                self._refused(batch, event, before, now_s)
            case UncommittedRows():
                self._uncommitted(now_s)
            case _:
                self._failed(event, before, now_s)

    def give_up(self, cause: str, now_s: float) -> None:
        """End the session ourselves."""
        parts = self._parts
        parts.channel.process(Abandoned(cause))
        parts.world.observer.reopened(_CAUSES.get(cause, "other"))
        if cause != "commit_stall":
            parts.pacing.reopened(cause, now_s)
        elif parts.pacing.commit_stall(now_s):
            self._alarm(
                "commit_stall", f"no commit for {parts.limits.stall_s} s, three times in a row"
            )

    def _opened(self, status: ChannelStatus, now_s: float) -> None:
        parts = self._parts
        parts.pacing.answered()
        parts.plan.reset()
        assert parts.install is not None, "an open is only sent for a known install"
        parts.graves.load()
        found = parts.resumer.resume(status, parts.install)
        for kind, message in found.alarms:
            self._alarm(kind, message)
        parts.channel.process(found.event)
        if isinstance(found.event, Declined):
            parts.pacing.faulted(found.event.reason, now_s)
            return
        parts.feed.begin(found.lineage)
        parts.settlement = Settlement(
            parts.world, parts.limits, found, parts.channel, parts.graves
        )
        parts.pacing.opened(now_s)
        self._settle(status, now_s)

    def _uncommitted(self, now_s: float) -> None:
        """Rows are on their way (rule 11); who insisted and hears it again waits as for a 429."""
        parts = self._parts
        if parts.plan.insisting:
            parts.pacing.failed(Throttled(_UNCOMMITTED), now_s)
            return
        parts.pacing.awaits(_UNCOMMITTED)
        parts.plan.uncommitted(now_s)

    def _accepted(self, batch: Batch, now_s: float) -> None:
        parts = self._parts
        parts.pacing.answered()
        parts.cutting.accepted(batch)
        parts.pacing.appended(parts.channel.window, now_s)
        parts.world.observer.accepted(batch.rows)

    def _reported(self, status: ChannelStatus, before: State, now_s: float) -> None:
        parts = self._parts
        parts.pacing.answered()
        if before is State.WATCHING:
            parts.pacing.awaits(_UNCOMMITTED)
            parts.plan.watched(status.committed, now_s)
            parts.pacing.polled(waiting=True, now_s=now_s)
            return
        self._settle(status, now_s)
        parts.pacing.polled(waiting=polls_soon(parts.situation), now_s=now_s)

    def _settle(self, status: ChannelStatus, now_s: float) -> None:
        parts = self._parts
        assert parts.settlement is not None, "a status of ours, but no session"
        outcome = parts.settlement.reported(status, now_s)
        parts.pacing.weighed(unsettled=parts.settlement.unsettled, now_s=now_s)
        if outcome is not None:
            parts.pacing.settled(clean=outcome.clean, proven=outcome.batches > 0, now_s=now_s)
            self._drop_events()

    def _refused(self, batch: Batch, event: Refused, before: State, now_s: float) -> None:
        """Rule 9: only what was refused at every try may change; else an open decides first."""
        parts = self._parts
        if before is not State.SENDING:
            parts.cutting.refused_in_doubt(batch)
            parts.world.observer.reopened("refused")
            parts.pacing.reopened("refused", now_s)
            return
        parts.pacing.answered()
        match parts.cutting.refused(batch):
            case Verdict.CUT_SMALLER:
                pass
            case Verdict.BURY_ROW:
                parts.graves.bury(batch, event.fault.value, f"{event.code}: {event.message}")
                self._alarm("row_refused", f"{batch.end_token}: {event.code}: {event.message}")
            case Verdict.TABLE_AT_FAULT:
                parts.pacing.table_fault(now_s)
                self._alarm("table_fault", f"{event.code}: {event.message}")

    def _failed(self, event: Event, before: State, now_s: float) -> None:
        parts = self._parts
        parts.pacing.failed(event, now_s)
        match event:
            case Unauthorized(code):
                parts.world.transport.renew()
                if parts.pacing.denials > 1:
                    self._alarm("unauthorized", code)
            case Unsent(kind):
                self._unsent(kind)
            case Moved():
                parts.world.transport.rediscover()
                parts.world.observer.reopened("moved")
            case ChannelLost(code, fenced):
                self._lost(code, before, now_s, fenced=fenced)
            case Misconfigured(code, message):
                self._alarm("misconfigured", f"{code}: {message}")
            case _:
                pass
        if before is State.POLLING or before is State.WATCHING:
            parts.pacing.polled(waiting=True, now_s=now_s)

    def _unsent(self, kind: str) -> None:
        parts = self._parts
        if kind == DENIED and parts.pacing.failures > 1:
            self._alarm("unauthorized", "the sign-in is refused")
        if parts.pacing.failures % REDISCOVER_AFTER == 0:
            parts.world.transport.rediscover()

    def _lost(self, code: str, before: State, now_s: float, *, fenced: bool) -> None:
        parts = self._parts
        if before is State.WATCHING:
            # What waits on a lost channel will not be committed any more: no need to wait longer.
            parts.plan.lost()
        cause = "fenced" if fenced else _CAUSES.get(code, "lost")
        parts.world.observer.reopened(cause)
        if fenced and parts.pacing.fences > 1:
            self._alarm("second_writer", f"{code}, and the open between was not ours")

    def _drop_events(self) -> None:
        """Events whose rows are acknowledged need not be told again."""
        parts = self._parts
        done = parts.channel.marks.acknowledged
        copied = parts.world.spool.copied_events()
        ids = [name for name, place in copied.items() if START < place <= done]
        if ids:
            parts.world.ledger.drop_copied_events(ids)

    def _alarm(self, kind: str, message: str) -> None:
        self._parts.world.observer.alarm(kind, message)
