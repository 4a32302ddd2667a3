"""Holding the server's counters against what was sent, and accepting what will never fit (rule 14).

A lasting imbalance keeps the rows and stops the shipping. An operator who has seen why may accept
it: the rows in question are kept as dead letters, and the counters as they are become the new
baseline. The channel is only asked for its status, never opened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.errors import ExitCode, ThermalError
from common.identity import Position
from common.ship_state import Acknowledgement
from shipper.graves import Graves
from shipper.ports import Transport, World
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.events import ChannelStatus, StatusReported
from shipper.protocol.reconcile import START
from shipper.protocol.replies import decode_status
from shipper.protocol.requests import Call, Target, channel_status
from shipper.protocol.token import TokenUnreadable, parse
from shipper.settlement import held_ranges

DEADLINE_S: Final = 20.0
REASON: Final = "imbalance"


class NotWeighable(ThermalError):
    """The counters cannot be held against anything; the running shipper decides such a case."""

    exit_code = ExitCode.TEMPFAIL


@dataclass(frozen=True, slots=True)
class Balance:
    """What the server counted since the stored acknowledgement, and what was sent.

    Attributes:
        after: the acknowledged place.
        through: the committed one.
        epoch: of the committed one, by name.
        token: the server's committed token.
        sent: rows between the two places, by the spool.
        inserted: rows that the server counted as inserted.
        errors: rows that it counted as refused.
        status: what it said.
    """

    after: Position
    through: Position
    epoch: str
    token: str
    sent: int
    inserted: int
    errors: int
    status: ChannelStatus

    @property
    def fits(self) -> bool:
        """Whether every row is accounted for."""
        return self.inserted + self.errors == self.sent and self.errors >= 0


def ask(
    transport: Transport, target: Target, channel: str, new_id: Callable[[], str]
) -> ChannelStatus:
    """The channel's status, by a request that changes nothing.

    Raises:
        NotWeighable: there is no usable answer, or no such channel.
    """
    try:
        reply = transport.send(channel_status(target, channel, Call(new_id())), DEADLINE_S)
    except (NotSent, OutcomeUnknown) as error:
        raise NotWeighable(
            f"{channel}: no answer: {error}", hint="thermal-shipper check tells what is wrong"
        ) from None
    event = decode_status(reply, channel)
    if not isinstance(event, StatusReported):
        raise NotWeighable(
            f"{channel}: HTTP {reply.status}, {event}",
            hint="thermal-shipper check tells what is wrong",
        )
    return event.status


def weigh(world: World, status: ChannelStatus) -> Balance:
    """Hold the counters against the spool.

    Raises:
        NotWeighable: channel or token are not those that the stored counters belong to.
        SpoolError: a file cannot be read.
    """
    progress, lineage = world.ledger.progress(), world.spool.lineage()
    if progress.created_on_ms != status.created_on_ms:
        raise _not("the channel is another one than the stored counters belong to")
    if status.committed is None:
        raise _not("the channel has no committed token")
    try:
        token = parse(status.committed)
    except TokenUnreadable as error:
        raise _not(str(error)) from None
    through = lineage.position(token.epoch, token.seq)
    if through is None:
        raise _not(f"epoch {token.epoch} of its token is not of this spool")
    stored = progress.acknowledged
    after = START if stored is None else lineage.position(stored.epoch, stored.seq) or START
    if through < after:
        raise _not(f"its token {status.committed} lies before what is acknowledged")
    sent = world.spool.count_between(None if after == START else after, through)
    return Balance(
        after, through, token.epoch, status.committed, sent,
        status.rows_inserted - progress.rows_inserted_base,
        status.rows_error - progress.rows_error_base, status,
    )


def accept(world: World, graves: Graves, found: Balance) -> None:
    """Keep the rows in question, and take the counters as they are for the new baseline.

    Raises:
        SpoolError: it is not stored; nothing changed.
    """
    doubt = world.ledger.progress().in_doubt
    place = None if doubt is None else world.spool.lineage().position(*doubt)
    counted = f"{found.sent} rows sent, {found.inserted} inserted, {found.errors} refused"
    why = (REASON, f"{counted}; {found.status.last_error or 'the server gave no reason'}")
    world.ledger.acknowledge(
        Acknowledgement(found.token, found.epoch, found.through.seq),
        rows_inserted=found.status.rows_inserted,
        rows_error=found.status.rows_error,
        held=held_ranges(world, graves, (found.after, found.through), why),
        in_doubt=None if place is not None and place <= found.through else doubt,
    )


def _not(why: str) -> NotWeighable:
    return NotWeighable(
        f"the counters cannot be settled: {why}",
        hint="start thermal-shipper: it decides such a case at its next open",
    )
