"""Mistakes that clients of this kind really make, planted into the real drain.

The simulation must see each.

Every one of them is a function that takes a drain just made and spoils it; nothing in the product
knows of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from common.identity import Epoch, Position
from common.ship_state import Acknowledgement
from shipper.drain import Drain
from shipper.protocol.channel import State
from shipper.protocol.events import (
    ChannelLost,
    ChannelStatus,
    Event,
    RowsAccepted,
    Throttled,
    Unresolved,
)
from shipper.protocol.reconcile import Decision, Known, reconcile
from shipper.protocol.token import parse
from shipper.protocol.window import Counters
from shipper.resumption import Resumer

Mistake = Callable[[Drain], None]


def _parts(drain: Drain) -> Any:
    return drain._parts


def _on_take(drain: Drain, spoil: Callable[[Any, Event], Event | None]) -> None:
    """Let ``spoil`` see each event first.

    It may give another one, or ``None`` when it dealt with it.
    """
    feedback: Any = drain._feedback
    real = feedback.take

    def take(event: Event, now_s: float) -> None:
        given = spoil(_parts(drain), event)
        if given is not None:
            real(given, now_s)

    feedback.take = take


def _retable(drain: Drain, table: Callable[[str | None, Known], Decision]) -> None:
    parts = _parts(drain)
    parts.resumer = Resumer(parts.world, parts.resumer._target_name, table)


def trust_200(drain: Drain) -> None:
    """Take a 200 on an append for a commit, and give the licence to trim."""

    def spoil(parts: Any, event: Event) -> Event:
        if isinstance(event, RowsAccepted):
            batch = parts.channel.batch
            parts.world.ledger.acknowledge(
                Acknowledgement(batch.end_token, batch.epoch, batch.last.seq),
                rows_inserted=0,
                rows_error=0,
            )
        return event

    _on_take(drain, spoil)


def recut_under_used_token(drain: Drain) -> None:
    """Forget a batch whose outcome is unknown, and cut anew under the same continuation token."""

    def spoil(parts: Any, event: Event) -> Event | None:
        channel = parts.channel
        if isinstance(event, Unresolved) and channel.state in (State.SENDING, State.RESENDING):
            channel.state, channel.batch, channel.tries = State.READY, None, 0
            return None
        return event

    _on_take(drain, spoil)


def ignore_lost_channel(drain: Drain) -> None:
    """Believe that only appends can tell that a channel is lost."""
    parts = _parts(drain)
    parts.channel.lost_by = lambda status: ""

    def spoil(parts: Any, event: Event) -> Event:
        polling = parts.channel.state in (State.POLLING, State.WATCHING)
        return Throttled("x") if polling and isinstance(event, ChannelLost) else event

    _on_take(drain, spoil)


def compare_seq_only(drain: Drain) -> None:
    """Look at the number in the token and not at the history it belongs to."""

    def table(committed: str | None, known: Known) -> Decision:
        if committed is None:
            return reconcile(committed, known)
        seq = parse(committed).seq
        holder: Epoch | None = next(
            (e for e in reversed(known.lineage.epochs) if e.first_seq <= seq), None
        )
        found = reconcile(None, replace(known, acknowledged=Position(0, 0), recreated=False))
        return (
            found
            if holder is None
            else replace(
                found,
                cursor=Position(holder.order, min(seq, max(holder.last_seq, 1))),
                explained=False,
            )
        )

    _retable(drain, table)


def adopt_unexplained_token(drain: Drain) -> None:
    """Go on behind the newest row when the token's epoch is not ours."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        foreign = committed is not None and known.lineage.find(parse(committed).epoch) is None
        if foreign:
            return Decision(found.case, known.newest, explained=False)
        return found

    _retable(drain, table)


def reset_error_baseline(drain: Drain) -> None:
    """Take the counters of each open for the baseline."""
    parts = _parts(drain)
    real = parts.resumer.resume

    def resume(status: ChannelStatus, install: Any) -> Any:
        found = real(status, install)
        window = getattr(found.event, "window", None)
        if window is not None and found.anchored:
            window.base = Counters(status.rows_inserted, status.rows_error)
            window._rows_committed = 0
        return found

    parts.resumer.resume = resume


def ignore_birth_date(drain: Drain) -> None:
    """Do not notice that a channel of the same name is another channel."""
    _parts(drain).channel.lost_by = lambda status: ""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, replace(known, recreated=False))
        return replace(found, in_doubt=Position(0, 0))

    _retable(drain, table)


def go_on_after_exposed(drain: Drain) -> None:
    """Go on behind what was sent, and not behind what was committed."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        if found.may_send and known.exposed is not None and known.exposed > found.cursor:
            return replace(found, cursor=min(known.exposed, known.newest), explained=False)
        return found

    _retable(drain, table)


def keep_no_letter(drain: Drain) -> None:
    """Drop a row that the server refuses at the door, without keeping it."""
    parts = _parts(drain)
    parts.graves._ledger = _NoLetters(parts.world.ledger)


class _NoLetters:
    """A ledger that keeps no dead letters."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.dead_letters = ledger.dead_letters

    def add_dead_letter(self, letter: object) -> int:
        """Throw it away."""
        return 1


def trim_without_counters(drain: Drain) -> None:
    """Give the licence to trim by the token alone."""
    feedback: Any = drain._feedback
    real = feedback._opened

    def opened(status: ChannelStatus, now_s: float) -> None:
        real(status, now_s)
        parts = _parts(drain)
        if parts.channel.state is State.READY:
            parts.channel.window.balanced = lambda now: True

    feedback._opened = opened


def rely_on_orders(drain: Drain) -> None:
    """Believe that the spool is the same as long as the process is."""
    _parts(drain).feed.verify = lambda after: None


MISTAKES: dict[str, Mistake] = {
    mistake.__name__: mistake
    for mistake in (
        trust_200,
        recut_under_used_token,
        ignore_lost_channel,
        compare_seq_only,
        adopt_unexplained_token,
        reset_error_baseline,
        ignore_birth_date,
        go_on_after_exposed,
        keep_no_letter,
        trim_without_counters,
        rely_on_orders,
    )
}
