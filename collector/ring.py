"""Rows that wait in memory to be stored: bounded, the oldest is given up first, and counted; pure.

While the disk is full or failing, sampling goes on and rows gather here. What is given up becomes
one gap row as soon as storing works again.
"""

import json
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

from collector.gaps import Gap, GapReason, gap_row
from collector.stamp import Stamp
from common.sample import Kind
from common.spool.row import INDEX, NewRow

ROWS_MAX: Final = 4096
"""About 4 MiB of rows; at the default interval five and a half hours."""

CHUNK_ROWS: Final = 256
"""Most rows of one transaction, so that a long ring is stored in several short ones."""

_TAKEN_AT: Final = INDEX["taken_at"]
_KIND: Final = INDEX["kind"]
_DETAIL: Final = INDEX["detail"]
_US: Final = 1000


@dataclass(frozen=True, slots=True)
class Loss:
    """Ticks given up, and the wall clock of the first and the last of their rows."""

    ticks: int
    from_ns: int
    to_ns: int

    def with_later(self, later: "Loss | None") -> "Loss":
        """Both as one."""
        if later is None:
            return self
        return Loss(self.ticks + later.ticks, self.from_ns, later.to_ns)


def ticks_of(row: NewRow) -> int:
    """How many ticks go when this row goes: a gap row stands for all that it counts."""
    if row[_KIND] == Kind.SAMPLE:
        return 1
    if row[_KIND] == Kind.GAP:
        return json.loads(str(row[_DETAIL]))["count"] or 0
    return 0


class Ring:
    """Rows in the order they were taken. At most one chunk of them is being stored at a time.

    Args:
        rows_max: most rows that are kept, those being stored not counted.

    Attributes:
        dropped: rows given up since the start.
    """

    def __init__(self, rows_max: int = ROWS_MAX) -> None:
        self.dropped = 0
        self._rows_max = rows_max
        self._rows: deque[tuple[float, NewRow]] = deque()
        self._loss: Loss | None = None
        self._chunk: list[tuple[float, NewRow]] = []
        self._chunk_loss: Loss | None = None

    def __len__(self) -> int:
        return len(self._chunk) + len(self._rows)

    @property
    def oldest_s(self) -> float | None:
        """Monotonic time since which the oldest row waits; ``None``: none waits."""
        first = next(iter(self._chunk or self._rows), None)
        return None if first is None else first[0]

    def add(self, row: NewRow, now_s: float) -> None:
        """Keep a row; the oldest is given up for it when the ring is full."""
        self._rows.append((now_s, row))
        self._fit()

    def take(self, stamp: Stamp) -> list[NewRow]:
        """The rows to store next; ``stored`` or ``failed`` must follow.

        A gap row of what was given up comes before them.
        """
        self._chunk = list(islice(self._rows, CHUNK_ROWS))
        for _ in self._chunk:
            self._rows.popleft()
        self._chunk_loss, self._loss = self._loss, None
        rows = [row for _, row in self._chunk]
        loss = self._chunk_loss
        if loss is not None:
            gap = Gap(
                GapReason.MEMORY_FULL, loss.ticks, from_ns=loss.from_ns, to_ns=loss.to_ns
            )
            rows.insert(0, gap_row(gap, stamp))
        return rows

    def stored(self) -> None:
        """Forget the chunk: it is on the disk."""
        self._chunk, self._chunk_loss = [], None

    def failed(self) -> None:
        """Take the chunk back: it is not on the disk."""
        self._rows.extendleft(reversed(self._chunk))
        if self._chunk_loss is not None:
            self._loss = self._chunk_loss.with_later(self._loss)
        self.stored()
        self._fit()

    def _fit(self) -> None:
        """Give up the oldest rows above the limit."""
        while len(self._rows) > self._rows_max:
            _, row = self._rows.popleft()
            taken_ns = int(row[_TAKEN_AT] or 0) * _US
            lost = Loss(ticks_of(row), taken_ns, taken_ns)
            self._loss = lost if self._loss is None else self._loss.with_later(lost)
            self.dropped += 1
