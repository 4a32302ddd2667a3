"""Quarantine in a simulated spool: a new file, and the rows that are carried over (rule 6)."""

from dataclasses import replace
from random import Random
from typing import NamedTuple

from collector.gaps import Gap, GapReason
from collector.spool import licence
from collector.spool.decide import Found, Plan
from collector.spool.salvage import Task
from common.identity import Epoch, Install
from common.spool.row import StoredRow
from tests.model.simulation_spool import SpoolState

_SLICE_ROWS = 3
_LATE = 0.1


class Slice(NamedTuple):
    """What one slice of work makes of the file.

    Attributes:
        gaps: gap rows to be stored with it; only the last slice has any.
        unread: rows that nobody will read again.
        ended: whether it was the last one.
    """

    state: SpoolState
    gaps: list[Gap]
    unread: list[StoredRow]
    ended: bool


def quarantined(old: SpoolState, plan: Plan, install: Install, found: Found) -> SpoolState:
    """The new file: the small tables of the old one, and the task to carry its rows over."""
    ship = licence.usable(install, found.ship)
    acknowledged = ship.acknowledged if ship else None
    lineage = found.spool.lineage
    done = licence.licence(lineage, acknowledged, found.spool.trimmed).through
    return replace(
        old,
        install=install,
        epochs=lineage.epochs,
        rows=(),
        salvage=(
            tuple(row for row in old.rows if row.seq > done),
            Task("aside", done + 1, plan.stored_before, []),
        ),
        stride=(2, 0),
        inode=old.inode + 1,
    )


def seeded(plan: Plan, install: Install, inode: int) -> SpoolState:
    """The new file when the old one is gone: of its epochs only the shipper's file tells."""
    epochs: list[Epoch] = []
    parent, end = None, 0
    for order, mark in enumerate(plan.seeds, 1):
        epochs.append(Epoch(order, mark.epoch, parent, "unknown", end + 1, mark.seq))
        parent, end = mark.epoch, mark.seq
    return SpoolState(install, tuple(epochs), inode=inode)


def carry_over(state: SpoolState, bad: frozenset[int], random: Random | None) -> Slice | None:
    """Carry a few rows over; now and then the time for it is up.

    Args:
        state: the new file.
        bad: rows that cannot be read, by seq.
        random: decides when the time is up; ``None``: never, since a card that takes the end of a
            salvage back would have it end differently, a limit that the guarantees name.

    Returns:
        ``None``: nothing is pending.
    """
    if state.salvage is None:
        return None
    pending, told = state.salvage
    task = replace(told, bad=list(told.bad))
    late = random is not None and random.random() < _LATE
    now, later = ((), pending) if late else (pending[:_SLICE_ROWS], pending[_SLICE_ROWS:])
    unread = []
    for row in now:
        if row.seq in bad:
            task.mark_bad(row.seq, row.seq)
            unread.append(row)
    fresh = {row.seq: row for row in now if row.seq not in bad}
    # Like INSERT OR IGNORE: what is there already stays.
    rows = tuple(row for _, row in sorted((fresh | {row.seq: row for row in state.rows}).items()))
    if later and not late:
        task.next = later[0].seq
        return Slice(replace(state, rows=rows, salvage=(later, task)), [], unread, ended=False)
    if later:
        task.mark_bad(later[0].seq, task.last)
        unread += later
    gaps = [Gap(GapReason.QUARANTINE, high - low + 1, low, high) for low, high in task.bad]
    return Slice(replace(state, rows=rows, salvage=None), gaps, unread, ended=True)
