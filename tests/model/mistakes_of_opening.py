"""Planted mistakes: how a channel is opened, and where to go on after it."""

from dataclasses import replace
from typing import Any, Final

from common.identity import Epoch, Position
from shipper.protocol.channel import State
from shipper.protocol.events import ChannelStatus
from shipper.protocol.opening import Approach
from shipper.protocol.reconcile import Case, Decision, Known, reconcile
from shipper.protocol.token import parse
from shipper.protocol.window import Counters
from tests.model.simulation_host import SimDevice
from tests.model.simulation_planting import Mistake, parts, retable, with_ledger


def compare_seq_only(device: SimDevice) -> None:
    """Look at the number in the token and not at the history it belongs to.

    AUTOINCREMENT keys as offsets: every integer-offset client of a local database.
    """

    def table(committed: str | None, known: Known) -> Decision:
        if committed is None:
            return reconcile(committed, known)
        seq = parse(committed).seq
        holder: Epoch | None = next(
            (e for e in reversed(known.lineage.epochs) if e.first_seq <= seq), None
        )
        found = reconcile(None, replace(known, acknowledged=Position(0, 0), recreated=False))
        if holder is None:
            return found
        cursor = Position(holder.order, min(seq, max(holder.last_seq, 1)))
        return replace(found, cursor=cursor, explained=False)

    retable(device, table)


def compare_as_text(device: SimDevice) -> None:
    """Take the greater of two tokens as texts without leading zeros: "9" is beyond "10"."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        if committed is None or not found.may_send:
            return found
        places = (found.cursor, known.acknowledged)
        order = max(place.order for place in places)
        seq = max((str(p.seq) for p in places if p.order == order), default="0")
        return replace(found, cursor=Position(order, int(seq)))

    retable(device, table)


def adopt_unexplained_token(device: SimDevice) -> None:
    """Go on behind the newest row when the token's epoch is not ours."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        foreign = committed is not None and known.lineage.find(parse(committed).epoch) is None
        if foreign:
            return Decision(found.case, known.newest, explained=False)
        return found

    retable(device, table)


def ignore_committed_token(device: SimDevice) -> None:
    """Send again what was not acknowledged, under a fresh continuation token, without asking."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        if not found.may_send or found.case is not Case.NORMAL:
            return found
        return replace(found, cursor=known.acknowledged, explained=False)

    retable(device, table)


def go_on_after_exposed(device: SimDevice) -> None:
    """Go on behind what was sent, and not behind what was committed."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        if found.may_send and known.exposed is not None and known.exposed > found.cursor:
            return replace(found, cursor=min(known.exposed, known.newest), explained=False)
        return found

    retable(device, table)


def go_on_after_accepted(device: SimDevice) -> None:
    """Keep the greatest accepted place over a reopen, which discards what was not committed."""
    greatest: list[tuple[str, Position]] = []
    feed: Any = parts(device).feed
    real = feed.verify

    def verify(after: Position) -> None:
        greatest[:] = [(device.machine.spool.install().install_id, after)]
        real(after)

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        for install, place in greatest:
            ours = install == device.machine.spool.install().install_id
            if ours and found.may_send and found.cursor < place <= known.newest:
                return replace(found, cursor=place, explained=False)
        return found

    feed.verify = verify
    retable(device, table)


def ignore_birth_date(device: SimDevice) -> None:
    """Do not notice that a channel of the same name is another channel."""
    parts(device).channel.lost_by = lambda status: ""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, replace(known, recreated=False))
        return replace(found, in_doubt=Position(0, 0))

    retable(device, table)


def doubt_only_one_row(device: SimDevice) -> None:
    """End the range of rows in doubt too soon."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        if found.in_doubt <= found.cursor:
            return found
        after = max(found.cursor, Position(1, 0))
        return replace(found, in_doubt=Position(after.order, after.seq + 1))

    retable(device, table)


def forget_doubt_at_reopen(device: SimDevice) -> None:
    """Keep the range of rows in doubt only for the session that found it."""
    ledger = device.machine.ledger
    real = ledger.progress
    with_ledger(device, progress=lambda: replace(real(), in_doubt=None))


def reset_error_baseline(device: SimDevice) -> None:
    """Take the counters of each open for the baseline, as one public client does."""
    found = parts(device)
    real = found.resumer.resume

    def resume(status: ChannelStatus, install: Any) -> Any:
        made = real(status, install)
        window = getattr(made.event, "window", None)
        if window is not None and made.anchored:
            window.base = Counters(status.rows_inserted, status.rows_error)
            window._rows_committed = 0
        return made

    found.resumer.resume = resume


def trim_without_counters(device: SimDevice) -> None:
    """Give the licence to trim by the token alone."""
    feedback: Any = device.drain._feedback
    real = feedback._opened

    def opened(status: ChannelStatus, now_s: float) -> None:
        real(status, now_s)
        channel: Any = parts(device).channel
        if channel.state is State.READY:
            channel.window.balanced = lambda now: True

    feedback._opened = opened


def insist_at_once(device: SimDevice) -> None:
    """Open with ``fail_on_uncommitted_rows=false`` each time, which is the API's default."""
    parts(device).plan.approach = lambda now_s: Approach.INSIST


def skip_the_wait_on_409(device: SimDevice) -> None:
    """Insist as soon as the server says that rows are on their way."""
    plan: Any = parts(device).plan
    plan.uncommitted = lambda now_s: plan.lost()
    real = plan.approach

    def approach(now_s: float) -> Approach:
        return Approach.INSIST if plan._insist else real(now_s)

    plan.approach = approach


def start_from_the_oldest_row(device: SimDevice) -> None:
    """Without a token send all that is there, whatever was acknowledged."""

    def table(committed: str | None, known: Known) -> Decision:
        found = reconcile(committed, known)
        return Decision(Case.FIRST) if committed is None and found.may_send else found

    retable(device, table)


OPENING: Final = (
    Mistake(compare_seq_only, "lying card"),
    Mistake(compare_as_text, "crashes"),
    Mistake(adopt_unexplained_token, "lying card"),
    Mistake(ignore_committed_token, "crashes"),
    Mistake(go_on_after_exposed, "crashes"),
    Mistake(go_on_after_accepted, "network"),
    Mistake(ignore_birth_date, "lost channels"),
    Mistake(doubt_only_one_row, "lost channels"),
    Mistake(forget_doubt_at_reopen, "lost channels"),
    Mistake(reset_error_baseline, "poison"),
    Mistake(trim_without_counters, "poison"),
    Mistake(insist_at_once, "crashes"),
    Mistake(skip_the_wait_on_409, "crashes"),
    Mistake(start_from_the_oldest_row, "lost channels"),
)
