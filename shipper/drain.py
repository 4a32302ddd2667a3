"""The drain: ask the machine what is next, do one thing, feed back what came of it.

All rules are in ``shipper.protocol`` (pure) and in the small companions here; this loop only
connects them. A step does one request at most. It may end at any instruction: what must survive is
durable before it matters.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from common.clock import Clock
from common.columns import Scalar
from common.database import SpoolCorrupt
from common.errors import LockHeld, SpoolError
from shipper.exchange import Exchange
from shipper.feed import Feed, Order, SpoolChanged
from shipper.feedback import Feedback, Machinery
from shipper.gate import Gate
from shipper.graves import Graves
from shipper.ports import LedgerPort, Present, World
from shipper.protocol.batch import Batch
from shipper.protocol.channel import SESSIONLESS, Channel, State
from shipper.protocol.cutting import Cutting
from shipper.protocol.decide import GiveUp, Open, Poll, SendAgain, SendNext, Wait, decide
from shipper.protocol.errors import RemoteProtocolError
from shipper.protocol.limits import Limits
from shipper.protocol.opening import OpenPlan
from shipper.protocol.pacing import Delays, Pacing
from shipper.protocol.payload import RowEncoder
from shipper.protocol.requests import Target
from shipper.resumption import Resumer

LOOK_S: Final = 1.0
"""Longest pause between two looks into the spool."""
PAUSE_S: Final = 30.0
"""Longest wait of one step, whatever is waited for: the watchdog wants to hear of us."""
SPOOL_RETRY_S: Final = 5.0
_LOCK_RETRY_S: Final = 0.05
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What a drain is told once.

    Attributes:
        target: where rows go.
        present: this machine.
        limits: the numbers of the protocol.
        delays: draws of the waits between tries.
        clock_wait_s: uptime until which unsynchronised rows of this boot wait.
        new_id: makes request ids.
        row_crc: check sum of a stored row.
        graves: what becomes of a row that cannot be sent; the live stream sends a tombstone.
    """

    target: Target
    present: Present
    limits: Limits
    delays: Delays
    clock_wait_s: float
    new_id: Callable[[], str]
    row_crc: Callable[[str, int, tuple[Scalar, ...]], int]
    graves: Callable[[LedgerPort, Clock], Graves] = Graves


class _Shut(Exception):
    """The gate is shut, for this reason: the step ends without a request."""


class Drain:
    """Carries rows from the spool to the server; ``step`` for ever."""

    def __init__(self, world: World, setup: Setup) -> None:
        limits, graves = setup.limits, setup.graves(world.ledger, world.clock)
        self._world = world
        self._limits = limits
        self._encoder = RowEncoder(setup.row_crc)
        self._exchange = Exchange(world, setup.target, setup.new_id)
        self._gate = Gate(world, setup.present)
        feed = Feed(world, limits, setup.clock_wait_s)
        self._parts = Machinery(
            world,
            limits,
            Channel(),
            Pacing(limits, setup.delays),
            OpenPlan(limits),
            Cutting(limits),
            graves,
            feed,
            Resumer(world, setup.present.target_name),
        )
        self._feedback = Feedback(self._parts)
        self._told = ("", "")
        self._beat_s = self._events_s = world.clock.monotonic_s()

    @property
    def channel(self) -> Channel:
        """The machine, to be looked at only."""
        return self._parts.channel

    @property
    def reason(self) -> str:
        """Why the last wait is what it is; empty: nothing is wrong."""
        return self._told[1]

    def step(self) -> float:
        """Do the next thing; returns the seconds to wait before the next step.

        Raises:
            LocalProtocolError: a bug; the process must end.
        """
        now_s = self._world.clock.monotonic_s()
        try:
            wait_s = self._step(now_s)
        except LockHeld:
            return _LOCK_RETRY_S
        except SpoolChanged as error:
            self._world.observer.alarm("spool_changed", str(error))
            self._feedback.give_up("spool_changed", now_s)
            return 0.0
        except RemoteProtocolError as error:
            self._parts.pacing.faulted("broken_promise", now_s)
            self._world.observer.reopened("regressed")
            self._world.observer.alarm("broken_promise", str(error))
            return 0.0
        except SpoolError as error:
            return self._spool_failed(error)
        except _Shut as shut:
            self._tell("waiting", str(shut))
            return LOOK_S
        self._tell(self._parts.channel.state, self._parts.pacing.reason)
        return wait_s

    def _step(self, now_s: float) -> float:
        parts, machine = self._parts, self._parts.channel
        action = decide(parts.situation, now_s)
        if isinstance(action, Wait):
            return min(action.seconds, PAUSE_S)
        if machine.state in SESSIONLESS and (shut := self._gate.shut()):
            raise _Shut(shut)
        match action:
            case GiveUp(cause):
                self._feedback.give_up(cause, now_s)
                return 0.0
            case Open(insist):
                parts.install = self._world.spool.install()
                event = self._exchange.open(machine, self._name, insist=insist)
            case Poll():
                self._housekeeping(now_s)
                event = self._exchange.poll(machine, self._name)
            case SendAgain() if machine.batch is not None:
                event = self._exchange.append(machine, self._name, machine.batch)
            case SendNext():
                batch, wait_s = self._next_batch(now_s)
                if batch is None:
                    return wait_s
                self._beat_s = now_s
                event = self._exchange.append(machine, self._name, batch)
        done_s = self._world.clock.monotonic_s()
        parts.pacing.sent(done_s)
        self._feedback.take(event, done_s)
        return 0.0

    @property
    def _name(self) -> str:
        install = self._parts.install
        assert install is not None, "no session without an install"
        return install.channel

    def _next_batch(self, now_s: float) -> tuple[Batch | None, float]:
        """A batch whose end is stored as exposed, or the seconds to wait for one."""
        parts = self._parts
        settlement, install = parts.settlement, parts.install
        assert settlement is not None, "no batch without a session"
        assert install is not None, "no session without an install"
        marks = parts.channel.marks
        look_s = min(LOOK_S, max(self._limits.interval_s / 5, 0.05), parts.pacing.poll_due_s(now_s))
        due_s = parts.feed.due_s(marks.accepted, now_s)
        if due_s is None or due_s > 0:
            return None, look_s if due_s is None else min(due_s, look_s)
        rows_max = parts.cutting.rows_max(small=parts.pacing.slow_start)
        order = Order(marks.accepted, marks.exposed, rows_max, settlement.in_doubt)
        batch = parts.feed.cut(order, self._encoder, parts.graves, install, self._exchange.new_id)
        if batch is None:
            return None, look_s
        exposed = max(marks.exposed, batch.last)
        stored = max(marks.stored, exposed)
        parts.channel.exposed(replace(marks, exposed=exposed, stored=stored))
        return batch, 0.0

    def _housekeeping(self, now_s: float) -> None:
        """Before a poll: is the spool still ours; and events, of which one a day keeps us alive."""
        if self._parts.channel.state is State.READY:
            self._parts.feed.verify(self._parts.channel.marks.accepted)
        ledger, realtime_ns = self._world.ledger, self._world.clock.realtime_ns()
        if now_s - self._events_s >= _HOUR_S:
            self._events_s = now_s
            ledger.close_events(realtime_ns)
        if now_s - self._beat_s >= self._limits.heartbeat_s:
            self._beat_s = now_s
            ledger.add_event("heartbeat", "{}", realtime_ns)

    def _spool_failed(self, error: SpoolError) -> float:
        """A file failed; nothing was sent beyond what is stored, so it is only tried again."""
        now_s = self._world.clock.monotonic_s()
        self._gate.failed(error)
        state = self._parts.channel.state
        damaged = isinstance(error, SpoolCorrupt) and state not in SESSIONLESS
        if state is State.RECONCILING or damaged:
            self._feedback.give_up("spool_failed", now_s)
        self._world.observer.alarm("spool_failed", str(error))
        self._tell("waiting", str(error))
        return SPOOL_RETRY_S

    def _tell(self, state: str, reason: str) -> None:
        if (state, reason) != self._told:
            self._told = (state, reason)
            self._world.observer.state(state, reason)
