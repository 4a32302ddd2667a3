"""A simulated ``spool.db``: the transactions of the real store, and the words of its reader.

A write is durable when its call returns (``synchronous=FULL``). A card that lied about flushing
gives back an older state at a power cut (``roll_back``), of each file on its own. The whole file is
one value that is never changed, so going back is taking an older one.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from collector.spool.salvage import Task
from common.identity import Epoch, Install, Lineage, Position
from common.ship_state import Acknowledgement
from common.spool.row import INDEX, Origin, StoredRow, new_row, row_crc
from tests.model.simulation_mortality import Killed, Mortality

__all__ = ["HISTORY", "Killed", "Mortality", "SimSpool", "SpoolState"]

HISTORY = 64
_SEQ = itemgetter(1)
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


@dataclass(frozen=True, slots=True)
class SpoolState:
    """All of the file.

    Attributes:
        epochs: as they were made; the newest one's end is that of the rows.
        rows: ordered by seq.
        trimmed: the acknowledgement of the last trim.
        events: ids of the shipper's events, with the seq of their rows.
        honoured: ids of its requests that led to an epoch.
        offsets: wall clock minus uptime by boot.
        stride: where thinning goes on, see ``collector.spool.thinning``.
        salvage: rows of a damaged file that are still to be carried over, and the task.
        inode: changes when a new file is begun.
    """

    install: Install
    epochs: tuple[Epoch, ...] = ()
    rows: tuple[StoredRow, ...] = ()
    trimmed: Acknowledgement | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    honoured: frozenset[str] = frozenset()
    offsets: Mapping[str, int] = field(default_factory=dict)
    stride: tuple[int, int] = (2, 0)
    salvage: tuple[tuple[StoredRow, ...], Task] | None = None
    inode: int = 1

    @property
    def last_seq(self) -> int:
        """The greatest seq in the file."""
        return self.rows[-1].seq if self.rows else 0

    @property
    def all_rows(self) -> tuple[StoredRow, ...]:
        """The rows, and those that are still to be carried over."""
        return self.rows + (self.salvage[0] if self.salvage else ())

    @property
    def lineage(self) -> Lineage:
        """See ``tables.read_lineage``."""
        if not self.epochs:
            return Lineage()
        newest = self.epochs[-1]
        end = max(newest.first_seq - 1, self.last_seq)
        if end != newest.last_seq:
            newest = replace(newest, last_seq=end)
        return Lineage((*self.epochs[:-1], newest))

    def with_epoch(self, name: str, boot_id: str, first: int, stored_before: int) -> "SpoolState":
        """Mint an epoch; one without rows is never a parent (rule 5)."""
        ended = self.epochs
        if ended:
            end = max(ended[-1].first_seq - 1, stored_before)
            ended = (*ended[:-1], replace(ended[-1], last_seq=end))
        parent = next((e.epoch for e in reversed(ended) if e.last_seq >= e.first_seq), None)
        made = Epoch(len(ended) + 1, name, parent, boot_id, first, first - 1)
        return replace(self, epochs=(*ended, made))

    def with_rows(self, values: Sequence[Mapping[str, object]]) -> "SpoolState":
        """Append rows of the newest epoch."""
        epoch = self.epochs[-1]
        number, boot = epoch.order, epoch.boot_id
        install = self.install.install_id
        origin = Origin(number, number, epoch.epoch, install, boot, "device", "host", "0")
        seq = max(self.last_seq, epoch.first_seq - 1)
        made = []
        for given in values:
            seq += 1
            row = list(_TEMPLATE)
            for name, value in given.items():
                row[INDEX[name]] = value  # type: ignore[call-overload]
            crc = row_crc(epoch.epoch, seq, tuple(row))
            made.append(StoredRow(origin, seq, tuple(row), crc))
        return replace(self, rows=self.rows + tuple(made))


class SimSpool:
    """``spool.db``: the collector's transactions, and what can be read of it."""

    def __init__(self, install: Install) -> None:
        self.state = SpoolState(install)
        self.history: deque[SpoolState] = deque(maxlen=HISTORY)
        self._lineage: tuple[SpoolState, Lineage] | None = None

    @property
    def rows(self) -> tuple[StoredRow, ...]:
        """What is stored, by seq."""
        return self.state.rows

    def write(self, state: SpoolState) -> None:
        """One transaction."""
        self.history.append(self.state)
        self.state = state

    def roll_back(self, writes: int) -> list[StoredRow]:
        """A card that lied: the last writes never happened; returns the rows that are lost."""
        had: dict[int, StoredRow] = {}
        for _ in range(min(writes, len(self.history))):
            had |= {id(row): row for row in self.state.all_rows}
            self.state = self.history.pop()
        left = {id(row) for row in self.state.all_rows}
        return [row for name, row in had.items() if name not in left]

    def new_epoch(self, epoch: str, boot_id: str, honoured: Iterable[str] = ()) -> None:
        """Mint an epoch right behind what is stored."""
        begun = self.state.epochs[-1].first_seq - 1 if self.state.epochs else 0
        last = self.state.last_seq
        made = self.state.with_epoch(epoch, boot_id, max(last, begun) + 1, last)
        self.write(replace(made, honoured=self.state.honoured | frozenset(honoured)))

    def append(self, values: Sequence[Mapping[str, object]]) -> list[StoredRow]:
        """Store rows in the newest epoch."""
        self.write(self.state.with_rows(values))
        return list(self.state.rows[-len(values) :]) if values else []

    def trim(self, through: int, used: Acknowledgement) -> tuple[StoredRow, ...]:
        """Delete rows up to a seq, but the newest of them; returns the deleted ones."""
        end = bisect_right(self.state.rows, through, key=_SEQ) - 1
        if end <= 0:
            return ()
        gone = self.state.rows[:end]
        self.write(replace(self.state, rows=self.state.rows[end:], trimmed=used))
        return gone

    def without(self, seqs: Collection[int]) -> SpoolState:
        """The state with these rows gone."""
        return replace(self.state, rows=tuple(r for r in self.state.rows if r.seq not in seqs))

    def copy_event(self, name: str, row: Mapping[str, object]) -> StoredRow:
        """Store an event of the shipper as a row, and its id with it."""
        made = self.state.with_rows([row])
        stored = made.rows[-1]
        self.write(replace(made, events={**self.state.events, name: stored.seq}))
        return stored

    def set_offset(self, boot_id: str, offset_ns: int) -> bool:
        """The boot's clock was synchronised; written once.  Returns whether it was the first."""
        if boot_id in self.state.offsets:
            return False
        self.write(replace(self.state, offsets={**self.state.offsets, boot_id: offset_ns}))
        return True

    def install(self) -> Install:
        """See ``SpoolReader``."""
        return self.state.install

    def lineage(self) -> Lineage:
        """See ``SpoolReader``."""
        if self._lineage is None or self._lineage[0] is not self.state:
            self._lineage = (self.state, self.state.lineage)
        return self._lineage[1]

    def newest(self) -> Position | None:
        """See ``SpoolReader``."""
        return self.state.rows[-1].position if self.state.rows else None

    def read_after(self, position: Position | None, rows_max: int) -> list[StoredRow]:
        """See ``SpoolReader``."""
        rows = self.state.rows
        start = bisect_right(rows, self._clamped(position), key=_SEQ)
        found = rows[start : start + rows_max]
        if not found or found[-1].origin.order == found[0].origin.order:
            return list(found)
        order = found[0].origin.order
        return [row for row in found if row.origin.order == order]

    def count_between(self, after: Position | None, through: Position) -> int:
        """See ``SpoolReader``."""
        rows = self.state.rows
        first = bisect_right(rows, self._clamped(after), key=_SEQ)
        return max(0, bisect_right(rows, self._clamped(through), key=_SEQ) - first)

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """See ``SpoolReader``."""
        return self.state.offsets.get(boot_id)

    def trimmed(self) -> Acknowledgement | None:
        """See ``SpoolReader``."""
        return self.state.trimmed

    def salvage_pending(self) -> bool:
        """See ``SpoolReader``."""
        return self.state.salvage is not None

    def copied_events(self) -> dict[str, Position]:
        """See ``SpoolReader``."""
        if not self.state.events:
            return {}
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

    def _clamped(self, position: Position | None) -> int:
        """The seq to read after, never before or beyond the position's own epoch."""
        if position is None:
            return 0
        seq = position.seq
        for epoch in self.state.epochs[max(0, position.order - 1) : position.order + 1]:
            if epoch.order == position.order:
                seq = max(seq, epoch.first_seq - 1)
            else:
                seq = min(seq, epoch.first_seq - 1)
        return seq
