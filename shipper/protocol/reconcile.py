"""What the server has, decided from its token alone: the seven cases of an open.

A token names a row and the history that the row belongs to, so an open can tell a normal restart
(R1) from a card that lost rows after they were sent (R3, R4), from a server that forgot (R0') or
fell back (R2), and from a token that is not of this install (R5, R6). An unexplained token is never
adopted and never skipped over.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.identity import Epoch, Lineage, Position
from shipper.protocol.token import OffsetToken, TokenUnreadable, parse

START: Final = Position(0, 0)
"""Before the first row of any lineage (epoch orders and seqs begin with 1)."""


class Case(StrEnum):
    """The row of the table that applies."""

    FIRST = "R0"
    FORGOTTEN = "R0'"
    NORMAL = "R1"
    REGRESSED = "R2"
    TAIL_LOST = "R3"
    BOOTS_LOST = "R4"
    UNEXPLAINED = "R5"
    UNREADABLE = "R6"


class Incident(StrEnum):
    """What an open found that the table should be told of; the kind of an event row."""

    CHANNEL_LOST = "channel_lost"
    CHANNEL_RECREATED = "channel_recreated"
    TARGET_CHANGED = "target_changed"
    SERVER_REGRESSION = "server_regression"
    TAIL_LOST = "tail_lost"
    BOOTS_LOST = "boots_lost"
    IDENTITY_CONFLICT = "identity_conflict"
    TOKEN_UNREADABLE = "token_unreadable"  # noqa: S105 - no password, the kind of an event


@dataclass(frozen=True, slots=True)
class Known:
    """What this side knows when an open is answered.

    Attributes:
        lineage: all epochs of the install.
        acknowledged: the greater acknowledgement of both files; ``START``: none that covers
            anything.
        exposed: newest row that may have left; ``None``: none ever did.
        newest: newest stored row.
        recreated: another ``created_on_ms`` than the stored one.
        new_target: another account, pipe or channel than the stored one.
    """

    lineage: Lineage
    acknowledged: Position
    exposed: Position | None
    newest: Position
    recreated: bool = False
    new_target: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Where to go on.

    Attributes:
        case: the row of the table.
        cursor: rows after it are sent; meaningless when nothing may be sent.
        in_doubt: rows through here may be in the table already and are flagged; ``START``: none.
        request: what the collector must do before anything is sent ("new_epoch", "new_install"), or
            "".
        incidents: what to tell.
        explained: how the server's place follows from ours; ``False``: rows between the
            acknowledgement and the cursor cannot be counted here (lost, or of another incarnation
            of the channel).
    """

    case: Case
    cursor: Position = START
    in_doubt: Position = START
    request: str = ""
    incidents: tuple[Incident, ...] = ()
    explained: bool = True

    @property
    def may_send(self) -> bool:
        """Whether rows may be sent after this open."""
        return not self.request and self.case is not Case.UNREADABLE


def reconcile(committed: str | None, known: Known) -> Decision:
    """Apply the table to the server's token; the same inputs always give the same decision."""
    if _reused(known.exposed, known) or _reused(known.acknowledged, known):
        return _new_epoch(Case.TAIL_LOST)
    if committed is None:
        return _without_token(known)
    try:
        token = parse(committed)
    except TokenUnreadable:
        return Decision(Case.UNREADABLE, incidents=(Incident.TOKEN_UNREADABLE,))
    epoch = known.lineage.find(token.epoch)
    if epoch is None:
        return _foreign_epoch(token, known)
    place = Position(epoch.order, token.seq)
    if _reused(place, known):
        return _new_epoch(Case.TAIL_LOST)
    if place < known.acknowledged and not known.new_target:
        return _regressed(place, known)
    if place > epoch.end:
        return _behind(epoch, Case.TAIL_LOST, Incident.TAIL_LOST, known)
    return _marked(Decision(Case.NORMAL, max(place, known.acknowledged)), None, known)


def _without_token(known: Known) -> Decision:
    """R0 and R0': the server has no token for us."""
    if known.new_target:
        return Decision(Case.FIRST, known.acknowledged, incidents=(Incident.TARGET_CHANGED,))
    if known.acknowledged > START:
        found = Decision(Case.FORGOTTEN, known.acknowledged, known.newest)
        return _marked(found, Incident.CHANNEL_LOST, known)
    # Without an acknowledgement only a new birth date tells that what was exposed may have been
    # committed.
    if known.recreated and known.exposed is not None:
        return _marked(Decision(Case.FORGOTTEN), Incident.CHANNEL_LOST, known)
    return Decision(Case.FIRST)


def _foreign_epoch(token: OffsetToken, known: Known) -> Decision:
    """R4 and R5: the token's epoch is not ours, perhaps an ancestor of it is."""
    found = (known.lineage.find(name) for name in token.ancestors)
    ancestor: Epoch | None = next((epoch for epoch in found if epoch is not None), None)
    if ancestor is None:
        return Decision(
            Case.UNEXPLAINED, request="new_install", incidents=(Incident.IDENTITY_CONFLICT,)
        )
    if ancestor == known.lineage.newest:
        # The lost epoch began after this one, yet rows are stored in this one now: it must end
        # first.
        return _new_epoch(Case.BOOTS_LOST)
    return _behind(ancestor, Case.BOOTS_LOST, Incident.BOOTS_LOST, known)


def _behind(epoch: Epoch, case: Case, incident: Incident, known: Known) -> Decision:
    """R3 and R4: go on behind the epoch that the token tells of, or what is acknowledged.

    Never before its end: rows that are sent again move the token back, and if the card then takes
    back that they were in doubt, nothing tells it any more. Rows that were sent in a later epoch
    are flagged: where the serial numbers cannot tell two devices apart, the other one's token
    stands where ours was, and does not say what came of them.
    """
    cursor = max(epoch.end, known.acknowledged)
    sent = known.exposed or START
    doubt = sent if sent.order > epoch.order and sent > cursor else START
    return _marked(Decision(case, cursor, doubt, explained=False), incident, known)


def _regressed(place: Position, known: Known) -> Decision:
    """R2: the server fell back; what is left in the spool is sent again, flagged."""
    found = Decision(Case.REGRESSED, place, known.newest, explained=False)
    return _marked(found, Incident.SERVER_REGRESSION, known)


def _reused(place: Position | None, known: Known) -> bool:
    """Whether a place lies beyond the end of the epoch that rows are stored in now.

    Then this epoch lost rows that had left, and would give their numbers to other rows.
    """
    newest = known.lineage.newest
    return (
        place is not None
        and newest is not None
        and place.order == newest.order
        and place.seq > newest.last_seq
    )


def _new_epoch(case: Case) -> Decision:
    return Decision(case, request="new_epoch", incidents=(Incident.TAIL_LOST,))


def _marked(found: Decision, incident: Incident | None, known: Known) -> Decision:
    """Add what a recreated channel or a new target means to a decision."""
    incidents: tuple[Incident, ...] = () if incident is None else (incident,)
    in_doubt, explained = found.in_doubt, found.explained
    if known.new_target:
        incidents += (Incident.TARGET_CHANGED,)
        explained = False
    elif known.recreated:
        incidents += (Incident.CHANNEL_RECREATED,)
        in_doubt = known.newest
        explained = explained and found.case is not Case.NORMAL
    return Decision(found.case, found.cursor, in_doubt, found.request, incidents, explained)
