"""What an audit knows: facts of both files and of the server, as they were read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from common.identity import Install, Lineage, Position
from common.ship_state import Acknowledgement
from shipper.progress import Progress
from shipper.protocol.events import ChannelStatus
from shipper.protocol.token import TokenUnreadable, parse

RANGES_MAX: Final = 100
"""Ranges of one sort that are kept by their numbers; of more, only the count."""


class Range(NamedTuple):
    """Numbers from ``first`` through ``last``."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(slots=True)
class Ranges:
    """A sum of ranges, the first ones by name; memory stays flat.

    Attributes:
        count: numbers in all of them.
        shown: the first of them.
    """

    count: int = 0
    shown: list[Range] = field(default_factory=list)

    def add(self, found: Range) -> None:
        """One more, behind the others; joined to the last one if it touches."""
        self.count += found.size
        if self.shown and self.shown[-1].last + 1 == found.first:
            self.shown[-1] = Range(self.shown[-1].first, found.last)
        elif len(self.shown) < RANGES_MAX:
            self.shown.append(found)


@dataclass(frozen=True, slots=True)
class GapRow:
    """A stored gap row that tells of numbered rows.

    Attributes:
        seq: its own.
        told: the numbers that it is about.
        count: how many of them left, gap rows that it took over included.
        reason: why.
    """

    seq: int
    told: Range
    count: int
    reason: str


@dataclass(slots=True)
class EpochCount:
    """What was counted of one epoch.

    Attributes:
        order: its place in the lineage.
        epoch: its name.
        given: its first and last seq; empty when ``last`` is less.
        trimmed: numbers before the oldest stored row.
        acknowledged: stored rows that are surely in the table.
        exposed: stored rows that may have left and are not acknowledged.
        waiting: stored rows that have not left.
        told: numbers without a row, by the reason of the gap row that tells of them.
        missing: numbers without a row that no gap row tells of.
    """

    order: int
    epoch: str
    given: Range
    trimmed: int = 0
    acknowledged: int = 0
    exposed: int = 0
    waiting: int = 0
    told: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def stored(self) -> int:
        """Rows in the spool."""
        return self.acknowledged + self.exposed + self.waiting

    @property
    def balance(self) -> int:
        """Numbers given less numbers accounted for; 0 unless the file changed meanwhile."""
        accounted = self.trimmed + self.stored + sum(self.told.values()) + self.missing
        return self.given.size - accounted


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its payload.

    Attributes:
        id: its number.
        form: ``row`` or ``range``.
        epoch: of its rows.
        rows: their numbers.
        reason: short code.
        readable: whether its payload can be read.
    """

    id: int
    form: str
    epoch: str
    rows: Range
    reason: str
    readable: bool


@dataclass(frozen=True, slots=True)
class ShipFacts:
    """``ship.db``; with ``found`` false there is none, and the rest is empty.

    Attributes:
        install_id: whose file it is.
        progress: see ``shipper.progress.Progress``.
        letters: all dead letters.
        events: ids of closed events, with their kinds.
        open_events: how many events are still being counted, until the end of their UTC day.
        requests: id and kind of each open request.
        jobs: channels' numbers of rows being sent again at an operator's word.
    """

    found: bool = False
    install_id: str | None = None
    progress: Progress = field(default_factory=Progress)
    letters: tuple[Letter, ...] = ()
    events: Mapping[str, str] = field(default_factory=dict)
    open_events: int = 0
    requests: tuple[tuple[str, str], ...] = ()
    jobs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """``spool.db``, every row of it read.

    Attributes:
        install: whose it is.
        lineage: its epochs.
        trimmed: the acknowledgement of the last trim.
        epochs: what was counted, oldest first.
        between: numbers of no epoch (a jump of seq), by the reason of the gap row.
        rows: how many are stored.
        oldest_seq: of the oldest; ``None``: none is stored.
        newest: position of the newest.
        vanished: numbers beyond the acknowledgement that no row has and no gap row tells of.
        vanished_acknowledged: the same among acknowledged numbers.
        corrupt: epoch and seq of rows whose checksum does not fit, the first ones.
        corrupt_count: how many.
        gap_rows: those that tell of numbered rows.
        hiding: stretches of gap rows where more is absent than they count: (stretch, absent, told).
        copied: ids of the shipper's events that are rows.
        honoured: ids of requests that led to an epoch.
        salvage_pending: whether rows of a damaged file are still being carried over.
        aside: names of what was set aside.
        unfinished: whether a setting aside was cut short.
    """

    install: Install
    lineage: Lineage
    trimmed: Acknowledgement | None = None
    epochs: tuple[EpochCount, ...] = ()
    between: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    oldest_seq: int | None = None
    newest: Position | None = None
    vanished: Ranges = field(default_factory=Ranges)
    vanished_acknowledged: Ranges = field(default_factory=Ranges)
    corrupt: tuple[tuple[str, int], ...] = ()
    corrupt_count: int = 0
    gap_rows: tuple[GapRow, ...] = ()
    hiding: tuple[tuple[Range, int, int], ...] = ()
    copied: frozenset[str] = frozenset()
    honoured: frozenset[str] = frozenset()
    salvage_pending: bool = False
    aside: tuple[str, ...] = ()
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server said of the live channel, and what the files said right after.

    Attributes:
        target: account, pipe and channel, as progress names them.
        progress: of ``ship.db``; it may be further than ``ShipFacts`` tells.
        lineage: of the spool, likewise.
        trimmed: likewise.
        newest: likewise.
        status: ``None``: the server knows no such channel.
        rows_parsed: its count of parsed rows; ``None``: it gave none.
        sent_since: stored rows between the acknowledgement and the server's place; ``None``: that
            place is not in the lineage.
        steady: whether ``ship.db`` was the same before and after the question; if not, counters and
            acknowledgement are of different moments.
    """

    target: str
    progress: Progress
    lineage: Lineage
    trimmed: Acknowledgement | None
    newest: Position | None
    status: ChannelStatus | None
    rows_parsed: int | None = None
    sent_since: int | None = None
    steady: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything.

    Attributes:
        server: ``None``: it was not asked, or did not answer.
        collector_runs: whether a collector holds the spool.
        shipper_runs: whether a shipper does.
    """

    spool: SpoolFacts
    ship: ShipFacts = field(default_factory=ShipFacts)
    server: ServerFacts | None = None
    collector_runs: bool = False
    shipper_runs: bool = False

    def letters_of(self, epoch: str, form: str) -> int:
        """Numbers of one epoch that dead letters of a form hold."""
        return sum(
            x.rows.size for x in self.ship.letters if (x.epoch, x.form) == (epoch, form)
        )


def licensed(lineage: Lineage, *found: Acknowledgement | None) -> Position | None:
    """The greatest acknowledgement that covers anything, at most the end of its epoch (rule 4)."""
    best: Position | None = None
    for acknowledgement in found:
        if acknowledgement is None:
            continue
        place = lineage.position(acknowledgement.epoch, acknowledgement.seq)
        if place is not None and (best is None or place > best):
            best = place
    return None if best is None else min(best, lineage.at(best.order).end)


def place_of(lineage: Lineage, token: str | None) -> Position | None:
    """Where a token stands; ``None``: it is none, or of no epoch of ours."""
    if token is None:
        return None
    try:
        found = parse(token)
    except TokenUnreadable:
        return None
    return lineage.position(found.epoch, found.seq)
