"""A simulated ``spool.db``, durable and mortal: the words of the real store and reader.

A write is durable when its call returns (``synchronous=FULL``). Two things may still happen to it:
the process dies in the call, before or after the write (``Mortality``), and a card that lied about
flushing gives back an older state at a power cut (``roll_back``), of each file on its own.
"""

import bisect
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from common.identity import Epoch, Install, Lineage, Position
from common.ship_state import Acknowledgement
from common.spool.row import INDEX, Origin, StoredRow, new_row, row_crc

HISTORY = 64
_TEMPLATE = new_row(
    {
        "taken_at": 0,
        "clock_synced": 1,
        "boottime_ns": 0,
        "kind": "sample",
        "quality": "VALID",
        "cpu_percent": 1.5,
        "sensor_status": '{"scd4x":"ok"}',
    }
)


class Killed(BaseException):
    """The process ends here; nothing of it goes on, not even its error handling."""


class Mortality:
    """Counts down the port calls of one process to its death; ``None``: it lives."""

    def __init__(self) -> None:
        self.calls_left: int | None = None

    def tick(self) -> None:
        """One more place where the process may die."""
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left <= 0:
                raise Killed


@dataclass(frozen=True, slots=True)
class _SpoolState:
    """All of the spool but its rows, which are only ever appended."""

    install: Install
    epochs: tuple[Epoch, ...] = ()
    rows: int = 0
    low: int = 0
    trimmed: Acknowledgement | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    honoured: frozenset[str] = frozenset()
    offsets: Mapping[str, int] = field(default_factory=dict)


class SimSpool:
    """``spool.db``: the collector's writes, and the shipper's view of it."""

    def __init__(self, install: Install) -> None:
        self.state = _SpoolState(install)
        self.history: deque[_SpoolState] = deque(maxlen=HISTORY)
        self.rows: list[StoredRow] = []
        self._seqs: list[int] = []
        self._lineage: tuple[_SpoolState, Lineage] | None = None

    def write(self, state: _SpoolState) -> None:
        """One transaction."""
        self.history.append(self.state)
        self.state = state

    def roll_back(self, writes: int) -> list[StoredRow]:
        """A card that lied: the last writes never happened; returns the rows that are lost."""
        for _ in range(min(writes, len(self.history))):
            self.state = self.history.pop()
        lost = self.rows[self.state.rows :]
        del self.rows[self.state.rows :], self._seqs[self.state.rows :]
        return lost

    def new_epoch(self, epoch: str, boot_id: str, honoured: Iterable[str] = ()) -> None:
        """Mint an epoch; one without rows is never a parent."""
        epochs = self.lineage().epochs
        parent = next((e.epoch for e in reversed(epochs) if e.last_seq >= e.first_seq), None)
        first = self._last_seq() + 1
        made = Epoch(len(epochs) + 1, epoch, parent, boot_id, first, first - 1)
        done = self.state.honoured | frozenset(honoured)
        self.write(replace(self.state, epochs=(*epochs, made), honoured=done))

    def append(self, values: Sequence[Mapping[str, object]]) -> list[StoredRow]:
        """Store rows in the newest epoch."""
        epoch = self.state.epochs[-1]
        origin = Origin(
            epoch.order,
            epoch.order,
            epoch.epoch,
            self.state.install.install_id,
            epoch.boot_id,
            "device",
            "host",
            "0",
        )
        stored = []
        for given in values:
            seq = self._last_seq() + 1
            row = list(_TEMPLATE)
            for name, value in given.items():
                row[INDEX[name]] = value  # type: ignore[call-overload]
            made = StoredRow(origin, seq, tuple(row), row_crc(epoch.epoch, seq, tuple(row)))
            self.rows.append(made)
            self._seqs.append(seq)
            stored.append(made)
        self.write(replace(self.state, rows=len(self.rows)))
        return stored

    def trim(self, acknowledged: Acknowledgement) -> list[StoredRow]:
        """Delete what an acknowledgement covers, but the newest row; returns the deleted ones."""
        place = self.lineage().position(acknowledged.epoch, acknowledged.seq)
        if place is None:
            return []
        low = self.state.low
        high = low
        while high < self.state.rows - 1 and self.rows[high].position <= place:
            high += 1
        if high == low:
            return []
        self.write(replace(self.state, low=high, trimmed=acknowledged))
        return self.rows[low:high]

    def copy_event(self, name: str, row: Mapping[str, object]) -> StoredRow:
        """Store an event of the shipper as a row, and its id with it."""
        stored = self.append([row])[0]
        self.state = replace(self.state, events={**self.state.events, name: stored.seq})
        return stored

    def set_offset(self, boot_id: str, offset_ns: int) -> None:
        """The boot's clock was synchronised; written once."""
        if boot_id not in self.state.offsets:
            self.write(replace(self.state, offsets={**self.state.offsets, boot_id: offset_ns}))

    def install(self) -> Install:
        """See ``SpoolReader``."""
        return self.state.install

    def lineage(self) -> Lineage:
        """See ``SpoolReader``."""
        if self._lineage is None or self._lineage[0] is not self.state:
            epochs = self.state.epochs
            ends = [e.first_seq - 1 for e in epochs[1:]] + [self._last_seq()] * bool(epochs)
            self._lineage = (
                self.state,
                Lineage(
                    tuple(
                        replace(e, last_seq=max(e.first_seq - 1, end))
                        for e, end in zip(epochs, ends, strict=True)
                    )
                ),
            )
        return self._lineage[1]

    def newest(self) -> Position | None:
        """See ``SpoolReader``."""
        return self.rows[-1].position if self.state.rows > self.state.low else None

    def read_after(self, position: Position | None, rows_max: int) -> list[StoredRow]:
        """See ``SpoolReader``."""
        start = max(self.state.low, bisect.bisect_right(self._seqs, self._clamped(position)))
        found = self.rows[start : min(start + rows_max, self.state.rows)]
        return [
            row for row in found if row.origin is found[0].origin or row.origin == found[0].origin
        ]

    def count_between(self, after: Position | None, through: Position) -> int:
        """See ``SpoolReader``."""
        first = max(self.state.low, bisect.bisect_right(self._seqs, self._clamped(after)))
        last = bisect.bisect_right(self._seqs, self._clamped(through))
        return max(0, last - first)

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """See ``SpoolReader``."""
        return self.state.offsets.get(boot_id)

    def trimmed(self) -> Acknowledgement | None:
        """See ``SpoolReader``."""
        return self.state.trimmed

    def salvage_pending(self) -> bool:
        """See ``SpoolReader``."""
        return False

    def copied_events(self) -> dict[str, Position]:
        """See ``SpoolReader``."""
        epochs = self.lineage().epochs
        return {
            name: Position(e.order, seq)
            for name, seq in self.state.events.items()
            for e in epochs
            if e.first_seq <= seq <= e.last_seq
        }

    def honoured_requests(self) -> frozenset[str]:
        """See ``SpoolReader``."""
        return self.state.honoured

    def _last_seq(self) -> int:
        return self._seqs[-1] if self._seqs else 0

    def _clamped(self, position: Position | None) -> int:
        if position is None:
            return 0
        for epoch in self.state.epochs:
            if epoch.order > position.order:
                return min(position.seq, epoch.first_seq - 1)
        return position.seq
