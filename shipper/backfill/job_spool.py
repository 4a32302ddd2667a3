"""The rows of a job as the drain reads them: a spool of one epoch, whose seqs are places."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from common.columns import Scalar
from common.identity import Epoch, Hardware, Install, Lineage, Position
from common.sample import Kind
from common.ship_state import Acknowledgement
from common.spool.row import new_row
from shipper.backfill.jobs import Job
from shipper.backfill.source import Line, Source, flagged
from shipper.dead_letters import DeadLetter
from shipper.graves import Graves
from shipper.ports import LedgerPort
from shipper.protocol.batch import Batch
from shipper.protocol.errors import LocalProtocolError
from shipper.protocol.payload import Row, RowEncoder, Sending

_ORDER: Final = 1
_CHUNK: Final = 256
_GZIP: Final = 16 + zlib.MAX_WBITS
_VALUES: Final = new_row(
    {"taken_at": 0, "clock_synced": 1, "boottime_ns": 0, "kind": Kind.SAMPLE.value}
)
"""What the drain may ask of any row: it waits for no clock, and proves a table when accepted."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose job it is.

    Attributes:
        channel: where its rows go, without ``TH_``.
        hardware: of this machine.
        boot_id: of this boot.
    """

    channel: str
    hardware: Hardware
    boot_id: str


@dataclass(frozen=True, slots=True)
class JobOrigin:
    """``shipper.protocol.payload.Origin`` of all rows of a job."""

    order: int
    epoch: str
    install_id: str
    boot_id: str
    device_id: str = ""
    hostname: str = ""
    collector_version: str = ""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A line, as ``shipper.protocol.payload.Row``."""

    origin: JobOrigin
    seq: int
    text: bytes
    values: tuple[Scalar, ...] = _VALUES
    crc: int = 0


class JobSpool:
    """``shipper.ports.SpoolPort`` for one job.

    Args:
        job: its name is the epoch.
        source: its rows.
        identity: whose it is.
        refused: places that are not sent any more.
    """

    def __init__(
        self, job: Job, source: Source, identity: Identity, refused: Iterable[int] = ()
    ) -> None:
        self._source = source
        self._install = Install(identity.channel, identity.hardware)
        self._origin = JobOrigin(_ORDER, job.name, identity.channel, identity.boot_id)
        epoch = Epoch(_ORDER, job.name, None, identity.boot_id, 1, source.last)
        self._lineage = Lineage((epoch,))
        self._refused = set(refused)
        self._newest: Position | None = None
        self._looked = False

    def refuse(self, place: int) -> None:
        """That place is not sent any more."""
        self._refused.add(place)
        self._looked = False

    def install(self) -> Install:
        """The job in the place of an install: its channel is ``TH_`` and this name."""
        return self._install

    def lineage(self) -> Lineage:
        """One epoch."""
        return self._lineage

    def newest(self) -> Position | None:
        """The last row that is to be sent."""
        if not self._looked:
            self._newest, self._looked = self._find_newest(), True
        return self._newest

    def read_after(self, position: Position | None, rows_max: int) -> list[JobRow]:
        """See ``SpoolPort``."""
        rows: list[JobRow] = []
        first, last = (0 if position is None else position.seq) + 1, self._source.last
        while len(rows) < rows_max and first <= last:
            through = min(first + rows_max - len(rows) - 1, last)
            rows += [JobRow(self._origin, x.place, x.text) for x in self._lines(first, through)]
            first = through + 1
        return rows

    def count_between(self, after: Position | None, through: Position) -> int:
        """See ``SpoolPort``."""
        first, last, rows = (0 if after is None else after.seq) + 1, through.seq, 0
        for low in range(first, last + 1, _CHUNK):
            rows += len(self._lines(low, min(low + _CHUNK - 1, last)))
        return rows

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """Lines are dated already."""
        return None

    def trimmed(self) -> Acknowledgement | None:
        """Nothing is."""
        return None

    def salvage_pending(self) -> bool:
        """See ``SpoolPort``."""
        return False

    def copied_events(self) -> dict[str, Position]:
        """None are."""
        return {}

    def honoured_requests(self) -> frozenset[str]:
        """None are made."""
        return frozenset()

    def _lines(self, first: int, last: int) -> list[Line]:
        found = self._source.lines(first, last)
        return [line for line in found if line.place not in self._refused]

    def _find_newest(self) -> Position | None:
        last = self._source.last
        while last > 0:
            first = max(1, last - _CHUNK + 1)
            lines = self._lines(first, last)
            if lines:
                return Position(_ORDER, lines[-1].place)
            last = first - 1
        return None


class JobGraves(Graves):
    """What becomes of a job's row that is refused: it stays a letter, and nothing stands for it.

    The table has its tombstone already, or knows nothing of it, as before.
    """

    def __init__(self, ledger: LedgerPort, clock: Clock, spool: JobSpool) -> None:
        super().__init__(ledger, clock)
        self._spool = spool

    def load(self) -> None:
        """What was refused before is not read again at all."""

    def line(self, row: Row, sending: Sending, encoder: RowEncoder) -> tuple[bytes, bool]:
        """The row's line, flagged when the job's own channel was lost on the way."""
        text = self.kept(row, sending)
        return (flagged(text) if sending.in_doubt else text), True

    def kept(self, row: Row, sending: Sending) -> bytes:
        """The line itself."""
        assert isinstance(row, JobRow)
        return row.text

    def too_long(self, row: Row, sending: Sending, encoder: RowEncoder) -> bytes:
        """Cannot happen: see ``source.LINE_BYTES_MAX``."""
        raise LocalProtocolError(f"place {row.seq} is longer than a request")

    def bury(self, batch: Batch, reason: str, message: str) -> None:
        """Keep the only row of a batch, durably, and send it no more."""
        place, line = batch.first.seq, zlib.decompress(batch.body, _GZIP)
        now_us = self._clock.realtime_ns() // 1000
        letter = DeadLetter("row", batch.epoch, place, place, reason, message, line, now_us)
        self._ledger.add_dead_letter(letter)
        self._spool.refuse(place)
