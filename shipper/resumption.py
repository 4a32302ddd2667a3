"""After an open: where to go on, and what must be durable before the first append."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from common.identity import Install, Lineage, Position
from common.ship_state import Acknowledgement, Mark
from shipper.feed import SpoolChanged
from shipper.ports import ProgressPort, World
from shipper.protocol.events import ChannelStatus, Declined, Resumed
from shipper.protocol.marks import Marks
from shipper.protocol.reconcile import START, Case, Decision, Incident, Known, reconcile
from shipper.protocol.window import Counters, Window


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a session begins.

    Attributes:
        event: ``Resumed`` or ``Declined``.
        target: what progress belongs to from now on.
        created_on_ms: the channel's birth.
        lineage: the epochs that all places of the session refer to.
        in_doubt: rows through it are flagged; ``START``: none.
        in_doubt_mark: the same, as it is stored.
        anchored: whether the counters' base is known. If not, nothing is sent until the counters
            have stood still, and only then the base, the birth date and the doubt become durable
            together.
        alarms: kind and text of what a person should know.
    """

    event: Resumed | Declined
    target: str
    created_on_ms: int
    lineage: Lineage
    in_doubt: Position = START
    in_doubt_mark: Mark | None = None
    anchored: bool = True
    alarms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Local:
    """What both files say at the open."""

    progress: ProgressPort
    target: str
    known: Known
    newly_trimmed: bool


@dataclass(frozen=True, slots=True)
class _Start:
    """Counters at the acknowledgement, rows committed since, and whether both are known."""

    base: Counters
    carried: int
    anchored: bool


class Resumer:
    """Turns an open answer into a session; see ``shipper.protocol.reconcile`` for the cases."""

    def __init__(
        self,
        world: World,
        target_name: str,
        table: Callable[[str | None, Known], Decision] = reconcile,
    ) -> None:
        self._world = world
        self._target_name = target_name
        self._table = table

    def resume(self, status: ChannelStatus, install: Install) -> Resumption:
        """Decide, tell, store; every step may be repeated after a crash.

        Raises:
            SpoolChanged: the spool became another one meanwhile; nothing was decided.
            SpoolError: a file cannot be read or written.
        """
        local = self._local(status, f"{self._target_name}/{install.channel}")
        decision = self._table(status.committed, local.known)
        now = Counters(status.rows_inserted, status.rows_error)
        start = self._start(decision, status, local)
        if decision.may_send and start.anchored and now.rows > start.base.rows + start.carried:
            decision = _more_than_told(decision, local.known)
            start = _Start(now, 0, anchored=decision.cursor == START)
        alarms = self._tell(decision, status, local)
        if not decision.may_send:
            return self._decline(decision, status, local, alarms)
        in_doubt = self._in_doubt(decision, local)
        if start.anchored:
            self._store(status, local, in_doubt, start.base)
        lineage, cursor = local.known.lineage, decision.cursor
        epoch = "" if cursor == START else lineage.at(cursor.order).epoch
        window = Window(status.committed, cursor, epoch, start.carried, start.base)
        event = Resumed(window, _marks(decision, local.known))
        return Resumption(
            event,
            local.target,
            status.created_on_ms,
            lineage,
            in_doubt,
            mark_of(lineage, in_doubt),
            start.anchored,
            alarms,
        )

    def _decline(
        self,
        decision: Decision,
        status: ChannelStatus,
        local: _Local,
        alarms: tuple[tuple[str, str], ...],
    ) -> Resumption:
        """Nothing may be sent; ask the collector, if it is the one who can mend it."""
        if decision.request:
            self._world.ledger.request(decision.request, f"{decision.case} {status.committed}")
        reason = f"{decision.case}: {decision.request or 'the token is not readable'}"
        return Resumption(
            Declined(reason),
            local.target,
            status.created_on_ms,
            local.known.lineage,
            alarms=alarms,
        )

    def _local(self, status: ChannelStatus, target: str) -> _Local:
        spool = self._world.spool
        progress = self._world.ledger.progress()
        lineage = spool.lineage()
        newest = spool.newest() or START
        stored = _place(lineage, progress.acknowledged)
        trimmed = _place(lineage, spool.trimmed())
        # Asked last: an epoch that began since the gate was asked, or in between, is seen here, and
        # the open is repeated. It may have come with a quarantine whose rows are not back (rule 6).
        if spool.salvage_pending():
            raise SpoolChanged("rows of a damaged spool are being salvaged")
        if [e.epoch for e in spool.lineage().epochs] != [e.epoch for e in lineage.epochs]:
            raise SpoolChanged("an epoch began while the open was decided")
        exposed = progress.exposed
        same = progress.target == target
        known = Known(
            lineage=lineage,
            acknowledged=max(stored, trimmed),
            # An epoch that was lost with what it held tells at least that something left.
            exposed=None if exposed is None else lineage.position(*exposed) or START,
            newest=newest,
            recreated=same and progress.created_on_ms != status.created_on_ms,
            new_target=not same and progress.target is not None,
        )
        return _Local(progress, target, known, newly_trimmed=trimmed > stored)

    def _tell(
        self, decision: Decision, status: ChannelStatus, local: _Local
    ) -> tuple[tuple[str, str], ...]:
        """Write down what was found, before anything is done about it."""
        detail: dict[str, object] = {
            "case": decision.case.value,
            "token": status.committed,
            "acknowledged": list(local.known.acknowledged),
            "cursor": list(decision.cursor),
            "in_doubt": list(decision.in_doubt),
            "created_on_ms": status.created_on_ms,
        }
        text = json.dumps(detail, separators=(",", ":"))
        for incident in decision.incidents:
            self._world.ledger.add_event(incident.value, text, self._world.clock.realtime_ns())
        return tuple((incident.value, text) for incident in decision.incidents)

    def _in_doubt(self, decision: Decision, local: _Local) -> Position:
        """The end of the flagged range, the stored one included, unless it lies behind."""
        stored = local.progress.in_doubt
        before = START
        if stored is not None:
            # The epoch it ended in may be lost; then all that is left is in doubt.
            before = local.known.lineage.position(*stored) or local.known.newest
        through = max(decision.in_doubt, before)
        return through if through > decision.cursor else START

    def _store(
        self, status: ChannelStatus, local: _Local, in_doubt: Position, base: Counters
    ) -> None:
        """Rule 18: birth date, baselines and doubt are durable before the first append."""
        mark = mark_of(local.known.lineage, in_doubt)
        progress = local.progress
        unchanged = (
            progress.target == local.target
            and progress.created_on_ms == status.created_on_ms
            and progress.in_doubt == mark
        )
        if not unchanged:
            self._world.ledger.retarget(
                local.target,
                status.created_on_ms,
                mark,
                rows_inserted=base.inserted,
                rows_error=base.errors,
            )

    def _start(self, decision: Decision, status: ChannelStatus, local: _Local) -> _Start:
        """The counters that the session begins with, and the rows that they lag behind."""
        if not _anchored(decision, status, local):
            return _Start(Counters(status.rows_inserted, status.rows_error), 0, anchored=False)
        carried = 0
        if status.committed is not None:
            after = local.known.acknowledged
            carried = self._world.spool.count_between(
                None if after == START else after, decision.cursor
            )
        return _Start(_base(status, local), carried, anchored=True)


def mark_of(lineage: Lineage, place: Position) -> Mark | None:
    """A place by the name of its epoch; ``None`` for ``START``."""
    return None if place == START else Mark(lineage.at(place.order).epoch, place.seq)


def _place(lineage: Lineage, acknowledged: Acknowledgement | None) -> Position:
    """A stored acknowledgement as a place; an epoch outside the lineage covers nothing (rule 4)."""
    if acknowledged is None:
        return START
    return lineage.position(acknowledged.epoch, acknowledged.seq) or START


def _anchored(decision: Decision, status: ChannelStatus, local: _Local) -> bool:
    """Whether the stored counters belong to the acknowledgement, and rows since can be counted."""
    if status.committed is None:
        return True
    exposed = local.known.exposed
    # A token beyond what is stored as exposed: ship.db fell back, and the spool may have thinned
    # rows that it could not know to be on their way.
    beyond = exposed is None or decision.cursor > exposed
    first = local.progress.target is None
    return decision.explained and not (first or beyond or local.newly_trimmed)


def _more_than_told(decision: Decision, known: Known) -> Decision:
    """The table has more rows than the token tells: the token fell back.

    And nobody can say how far.

    Counters may lag the token, never lead it, so this is a regression (R2) that the token alone
    hides: what follows may be there already.
    """
    return replace(
        decision,
        case=Case.REGRESSED,
        in_doubt=known.newest,
        incidents=(*decision.incidents, Incident.SERVER_REGRESSION),
    )


def _base(status: ChannelStatus, local: _Local) -> Counters:
    """The counters at the acknowledgement."""
    progress, known = local.progress, local.known
    if progress.target is None or known.recreated or known.new_target:
        # Only without a token: nothing of ours was committed, so what was counted is not ours.
        return Counters(status.rows_inserted, status.rows_error)
    return Counters(progress.rows_inserted_base, progress.rows_error_base)


def _marks(decision: Decision, known: Known) -> Marks:
    cursor = decision.cursor
    exposed = max(known.exposed or START, cursor)
    return Marks(
        min(known.acknowledged, cursor), cursor, cursor, exposed, max(known.newest, exposed)
    )
