"""What a start must do with what it finds: pure decisions, no file and no clock.

The facts are the spool's own, the shipper's, the runtime record's and the hardware's. Any of the
files may be missing, damaged, restored from a copy, or come from another device.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from collector.gaps import Gap, GapReason
from collector.spool.position import PositionRecord
from common.hardware import Match, match
from common.identity import Hardware, Install, Lineage
from common.ship_state import Acknowledgement, Mark, Request, ShipState
from common.spool.schema import REQUESTED

SEQ_JUMP: Final = 1_000_000
"""How far seq jumps past every number known when the spool's own numbers cannot be trusted."""


class LastRow(NamedTuple):
    """The newest tick that the spool knows of, stored or told by a gap row of ticks never stored.

    Attributes:
        taken_at: wall clock as stored, UTC, µs.
        clock_synced: whether the wall clock was right then.
        offset_ns: wall clock minus uptime of its boot, if it was synchronised later; else ``None``.
        clean: whether the run that stored it stopped cleanly.
    """

    boot_id: str
    boottime_ns: int
    taken_at: int
    clock_synced: bool
    offset_ns: int | None
    clean: bool


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """What could be read of ``spool.db``.

    Attributes:
        install: whose it is; ``None``: a new, empty or unreadable file.
        lineage: its epochs.
        last_seq: greatest seq that could be read.
        backlog_rows: rows after the acknowledgement, from the numbers.
        trimmed: the acknowledgement of the last trim.
        last_row: see ``LastRow``.
        honoured: ids of requests that already led to an epoch.
        damaged: the file is reproducibly corrupt.
        device: st_dev of the file.
        inode: st_ino of the file.
        pending: the files that a damaged file's own salvage was still reading, newest first,
            relative to the spool directory.
    """

    install: Install | None = None
    lineage: Lineage = field(default_factory=Lineage)
    last_seq: int = 0
    trimmed: Acknowledgement | None = None
    last_row: LastRow | None = None
    honoured: frozenset[str] = frozenset()
    damaged: bool = False
    device: int = 0
    inode: int = 0
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a start knows before it decides."""

    spool: SpoolFacts
    ship: ShipState | None
    record: PositionRecord | None
    boot_id: str
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class Plan:
    """What the start does.

    Attributes:
        install: go on as this install; ``None``: make a new one.
        epoch_reason: make a new epoch, for this reason; ``None``: go on in the newest.
        next_seq: the first seq that is given.
        stored_before: the greatest seq that counts as stored before it.
        aside: set the old file aside, for this reason; ``None``: go on in it.
        salvage: carry the set-aside file's readable rows over.
        seeds: epochs that only ``ship.db`` still knows, oldest first, with their last seq.
        gaps: gap rows to write with the epoch record.
    """

    install: Install | None
    epoch_reason: str | None
    next_seq: int = 1
    stored_before: int = 0
    aside: str | None = None
    salvage: bool = False
    seeds: tuple[Mark, ...] = ()
    gaps: tuple[Gap, ...] = ()


def decide(found: Found) -> Plan:
    """Settle install, epoch and seq.

    Returns:
        The plan; it always has an epoch, new or kept.
    """
    spool, asked = found.spool, _request(found, "new_install")
    if spool.install is not None:
        matched = match(spool.install.hardware, found.hardware)
        if asked is not None:
            return new_install(found, "requested")
        if not matched.keeps_install:
            return new_install(found, matched.value)
        return _start_over(found, spool.install) if spool.damaged else _go_on(found, matched)
    survivor = _install_of_ship(found)
    if survivor is not None:
        return _start_over(found, survivor)
    return new_install(found, "quarantine" if spool.damaged else None)


def new_install(found: Found, aside: str | None) -> Plan:
    """A new life from seq 1; what the old file holds is kept aside and never sent by itself.

    Args:
        found: see ``Found``.
        aside: why the old file is set aside; ``None``: there is none, or it is already.
    """
    gaps: tuple[Gap, ...] = ()
    if found.spool.install is not None:
        told = {"install_id": found.spool.install.install_id}
        gaps = (Gap(GapReason.INHERITED, _behind(found), more=told),)
    elif found.spool.damaged:
        gaps = (Gap(GapReason.INHERITED, None, more={"install_id": None}),)
    return Plan(None, "new_install", aside=aside, gaps=gaps)


def _start_over(found: Found, install: Install) -> Plan:
    """The same install in a new file, far past every number that may have been used (rule 6)."""
    lineage = found.spool.lineage
    known = _greatest_known(found, install)
    first = known + SEQ_JUMP + 1
    seeds = () if lineage.epochs else _seeds(_ship_of(found, install))
    gaps = [Gap(GapReason.SEQ_JUMP, first - known - 1, known + 1, first - 1)]
    after = _acknowledged_seq(found, install)
    salvage = found.spool.damaged and bool(lineage.epochs)
    if not salvage and known > after:
        reason = GapReason.QUARANTINE if found.spool.damaged else GapReason.LOST_BY_CUT
        gaps.insert(0, Gap(reason, known - after, after + 1, known))
    return Plan(
        Install(install.install_id, found.hardware),
        "quarantine" if found.spool.damaged else "spool_lost",
        first,
        known,
        aside="quarantine" if found.spool.damaged else None,
        salvage=salvage,
        seeds=seeds,
        gaps=tuple(gaps),
    )


def _go_on(found: Found, matched: Match) -> Plan:
    """The same file; a new epoch unless nothing at all has changed since the last commit."""
    spool = found.spool
    assert spool.install is not None
    known = _greatest_known(found, spool.install)
    reason = _epoch_reason(found, matched)
    if reason is None and known > spool.last_seq:
        reason = "regressed"
    gaps: tuple[Gap, ...] = ()
    if known > spool.last_seq:
        lost = known - spool.last_seq
        gaps = (Gap(GapReason.LOST_BY_CUT, lost, spool.last_seq + 1, known),)
    newest = spool.lineage.newest
    floor = 0 if newest is None else newest.first_seq - 1
    install = Install(spool.install.install_id, found.hardware)
    return Plan(install, reason, max(known, floor) + 1, spool.last_seq, gaps=gaps)


def _epoch_reason(found: Found, matched: Match) -> str | None:
    """Why a new epoch is due; ``None``: the newest goes on (rules 5 and 2)."""
    newest, record = found.spool.lineage.newest, found.record
    if newest is None:
        return "first"
    if newest.boot_id != found.boot_id:
        return "boot"
    if matched is Match.BOARD_CHANGED:
        return "board_changed"
    asked = _request(found, "new_epoch")
    if asked is not None:
        return f"{REQUESTED}{asked.id}"
    if record is None:
        return "no_record"
    here = PositionRecord(
        found.boot_id,
        found.spool.device,
        found.spool.inode,
        found.spool.install.install_id if found.spool.install else "",
        newest.epoch,
        found.spool.last_seq,
    )
    return None if record == here else "position_differs"


def _request(found: Found, kind: str) -> Request | None:
    """The shipper's oldest request of a kind that was not honoured; only of our own install."""
    ship, install = found.ship, found.spool.install
    if ship is None or install is None or ship.install_id != install.install_id:
        return None
    return next(
        (r for r in ship.requests if r.kind == kind and r.id not in found.spool.honoured), None
    )


def _install_of_ship(found: Found) -> Install | None:
    """The install that ``ship.db`` remembers, if it is of this card and board."""
    ship = found.ship
    if ship is None or not (ship.install_id and ship.board_serial and ship.card_serial):
        return None
    remembered = Install(ship.install_id, Hardware(ship.board_serial, ship.card_serial))
    return remembered if match(remembered.hardware, found.hardware).keeps_install else None


def _ship_of(found: Found, install: Install) -> ShipState:
    """The shipper's state, empty when it belongs to another install."""
    ship = found.ship
    return ship if ship is not None and ship.install_id == install.install_id else ShipState()


def _greatest_known(found: Found, install: Install) -> int:
    """The greatest seq that this install may have used, by any file's word."""
    ship, spool, record = _ship_of(found, install), found.spool, found.record
    numbers = [spool.last_seq]
    numbers += [mark.seq for mark in (ship.exposed, ship.acknowledged, spool.trimmed) if mark]
    if record is not None and record.install_id == install.install_id:
        numbers.append(record.last_seq)
    numbers += [epoch.first_seq - 1 for epoch in spool.lineage.epochs]
    return max(numbers)


def _acknowledged_seq(found: Found, install: Install) -> int:
    marks = (_ship_of(found, install).acknowledged, found.spool.trimmed)
    return max((mark.seq for mark in marks if mark), default=0)


def _behind(found: Found) -> int:
    """Rows that were not acknowledged, from the numbers."""
    install = found.spool.install
    return (
        0 if install is None else max(0, found.spool.last_seq - _acknowledged_seq(found, install))
    )


def _seeds(ship: ShipState) -> tuple[Mark, ...]:
    """Epochs of rows that were acknowledged or exposed, so that the server's token is explained."""
    marks: dict[str, Mark] = {}
    for found in (ship.acknowledged, ship.exposed):
        if found is not None:
            earlier = marks.get(found.epoch)
            seq = found.seq if earlier is None else max(found.seq, earlier.seq)
            marks[found.epoch] = Mark(found.epoch, seq)
    return tuple(sorted(marks.values(), key=lambda mark: mark.seq))
