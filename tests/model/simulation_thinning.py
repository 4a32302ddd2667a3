"""One thinning pass over the rows of a simulated spool, after ``collector.spool.thinning``.

The product's pass is SQL over pages; here a row is a page. Which rows go, and what the gap row
tells of them, is the same.
"""

from typing import NamedTuple

from collector.gaps import Gap
from collector.spool.thinning import _Removed
from common.spool.row import INDEX, StoredRow
from tests.model.simulation_spool import SpoolState

CHUNK_ROWS = 8
STRIDE_MAX = 8
_KIND = INDEX["kind"]


class Pass(NamedTuple):
    """What one pass does.

    Attributes:
        gone: rows that are removed.
        gap: the one gap row that tells of them.
        stride: where the next pass goes on.
    """

    gone: tuple[StoredRow, ...]
    gap: Gap
    stride: tuple[int, int]


def thin(state: SpoolState, after: int, goal: int) -> Pass | None:
    """Choose what goes.

    Args:
        state: the file.
        after: only rows after this seq.
        goal: so many rows shall go.

    Returns:
        ``None``: there is nothing to remove.
    """
    newest = state.last_seq
    free = [row for row in state.rows if after < row.seq < newest]
    stride, start = _resume(state.stride, after)
    gone: dict[int, StoredRow] = {}
    removed = _Removed()
    while len(gone) < goal and stride <= STRIDE_MAX:
        chunk = [r for r in free if r.seq > start and r.seq not in gone][:CHUNK_ROWS]
        gone |= {r.seq: r for r in chunk if r.values[_KIND] == "sample" and r.seq % stride}
        start = chunk[-1].seq if chunk else newest
        if start >= newest or not chunk:
            stride, start = stride * 2, after
    if len(gone) < goal:
        removed.dropped = True
        stride, start = 2, after
        left = [r for r in free if r.seq not in gone and r.values[_KIND] in ("sample", "gap")]
        gone |= {r.seq: r for r in left[: goal - len(gone)]}
    if not gone:
        return None
    rows = tuple(row for _, row in sorted(gone.items()))
    removed.add([(row.seq, row.origin.ord, *row.values, row.crc) for row in rows])
    return Pass(rows, removed.gap(), (stride, start))


def _resume(told: tuple[int, int], after: int) -> tuple[int, int]:
    stride, start = told
    if start > after or (stride > 2 and start == after):
        return stride, start
    return 2, after
