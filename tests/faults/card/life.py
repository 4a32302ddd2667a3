"""One life of a device on a damageable disk, done by hand and written down."""

import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from collector.spool.options import Limits as SpoolLimits
from collector.spool.options import Prepare
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.database import Opener, open_writer
from common.ship_state import ShipStateUnreadable
from common.spool.migrate import migrate
from common.spool.prepare import drop_stray_log, sync_directory, version_of
from shipper.drain import Drain
from shipper.protocol.channel import SESSIONLESS
from shipper.protocol.limits import Limits
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.demo.rows import Row
from tests.demo.sources import arrived_row
from tests.emulators.clock import ManualClock
from tests.emulators.disk.disk import Disk
from tests.emulators.disk.faults import Faults
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.faults.card.recording import Moment, Recording, Sent, Stored
from tests.model.simulation_server import SimTransport
from tests.model.test_real_files import Bench
from tests.tools.spools import sample

SPOOL: Final = "spool"
SHIPPING: Final = Limits(
    batch_rows=5, interval_s=1.0, batch_bytes_max=65_536, spacing_s=0.0, stable_s=3.0
)
COMMIT_S: Final = 1.5
"""From accepting to committing; an anchor must stand still for longer (``stable_s``)."""
STORING: Final = SpoolLimits(8 * 1024 * 1024, retain_rows=1_000_000)
COMMITTED_AFTER_S: Final = 60.0
IN_FLIGHT_MAX: Final = 10_000
"""More samples than one group has: those of a group that was just being stored may have landed."""
CHECKPOINT_PAGES: Final = 12
"""So that a short life has several checkpoints."""


def prepare_here(path: Path, kind: str, supported: int) -> None:
    """Like ``common.spool.prepare.prepare``, in this process instead of a child."""
    if version_of(path, supported) < supported:
        drop_stray_log(path)
        migrate(path, kind)
        sync_directory(path.parent)


def opener(*pragmas: str) -> Opener:
    """The product's opener, with settings of a test on top."""

    def opened(path: Path) -> sqlite3.Connection:
        connection = open_writer(path)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    return opened


class Life:
    """A device, a server and a disk; everything is done by hand and written down.

    Args:
        root: for what is not on the disk: the runtime directory.
        place: directory in which the spool directory is made.
        limits: of the spool.
        writer: opens both files for their writers.
    """

    def __init__(
        self, root: Path, place: Path, limits: SpoolLimits = STORING, writer: Opener | None = None
    ) -> None:
        self.bench = Bench(root, SHIPPING)
        self.device = self.bench.device
        self.device.directory = place / SPOOL
        self.device.limits = limits
        writer = writer or opener(f"wal_autocheckpoint={CHECKPOINT_PAGES}")
        self.device.means = replace(self.device.means, prepare=prepare_here, open_writer=writer)
        self.samples = 0
        self.fault: Callable[[Faults], None] = lambda faults: None
        self.sent: Callable[[HttpRequest], None] = lambda request: None
        self.stored: Callable[[SpoolStore, int, range], None] = lambda store, first, seqs: None
        self.bench.model.knobs.commit_delay_s = COMMIT_S
        self.server((self.bench.model, self.bench.store))

    def take_over(self, moment: Moment, boot_id: str) -> None:
        """Be where another life was cut: the same server, later, in a new boot."""
        self.server(pickle.loads(moment.server))  # noqa: S301 - pickled by ourselves
        self.samples = moment.samples + IN_FLIGHT_MAX
        self.device.hardware = moment.hardware
        self.device.clock = ManualClock(
            realtime_ns=moment.realtime_ns + 10_000_000_000,
            uptime_s=moment.uptime_s + 10.0,
            boot_id=boot_id,
        )

    def server(self, told: tuple[IngestModel, MemoryStore]) -> None:
        """Speak with this server."""
        bench = self.bench
        bench.model, bench.store = told
        line = SimTransport(bench.model, bench.device.random, bench.mortality, bench.now_s)
        bench.transport = line
        send = line.send

        def watched(request: HttpRequest, deadline_s: float) -> HttpReply:
            reply = send(request, deadline_s)
            self.sent(request)
            return reply

        line.send = watched  # type: ignore[method-assign]

    def use(self, prepare: Prepare) -> None:
        """Make tables by other means, and ids from the device's generator of now."""
        randomly = self.device.random.randbytes
        self.device.means = replace(self.device.means, prepare=prepare, random_bytes=randomly)

    def arrived(self) -> tuple[Row, ...]:
        """The table's rows, copies included, once all that was accepted is committed."""
        self.bench.model.advance(self.bench.now_s() + COMMITTED_AFTER_S)
        return tuple(arrived_row(json.loads(row.row)) for row in self.bench.store.rows)

    def append(self, store: SpoolStore, count: int) -> None:
        """Take samples and store them in one group.

        Raises:
            SpoolError: they are not stored; the next call gives the same ones.
        """
        first = self.samples
        seqs = store.append([sample(i) for i in range(first, first + count)])
        self.samples += count
        self.stored(store, first, seqs)

    def checkpoint(self, store: SpoolStore) -> None:
        """Empty the write-ahead log into the file, as far as readers allow."""
        with store.reading("checkpoint") as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def power_cycle(self, boot: int) -> None:
        """The runtime directory is gone; nothing was closed in order."""
        for path in self.device.runtime.iterdir():
            path.unlink()
        clock = self.device.clock
        self.device.clock = ManualClock(
            realtime_ns=clock.realtime_ns() + 10_000_000_000,
            uptime_s=clock.monotonic_s() + 10.0,
            boot_id=f"{boot:02x}" * 16,
        )

    @contextmanager
    def shipper(self) -> Iterator[Drain]:
        """A process of the shipper."""
        try:
            yield self.bench.process()
        finally:
            self.bench.close()

    def ship(self, store: SpoolStore, upkeep: Upkeep | None = None, steps: int = 400) -> bool:
        """Let a shipper work until all is acknowledged; whether it came to that."""
        with self.shipper() as drain:
            for step in range(steps):
                self.device.clock.sleep(max(drain.step(), 0.02))
                if upkeep is not None and step % 8 == 7:
                    upkeep.run()
                if _arrived(drain, store.last_seq) and self.home(store):
                    return True
        return False

    def home(self, store: SpoolStore) -> bool:
        """Whether the newest row is stored as acknowledged."""
        try:
            return self.bench.acknowledged() == store.last_seq
        except ShipStateUnreadable:
            return False


def _arrived(drain: Drain, seq: int) -> bool:
    """Whether the session believes that a row is acknowledged; cheaper than to ask the file."""
    channel = drain.channel
    return channel.state not in SESSIONLESS and channel.marks.acknowledged.seq == seq


def record(disk: Disk, life: Life, story: Callable[[Life, Callable[[], None]], None]) -> Recording:
    """Let a life happen and write it down.

    Args:
        disk: the disk that it happens on.
        life: the device.
        story: what happens; it calls its second argument when the part begins that is to be cut.
    """
    recording = Recording(disk.base)

    def look() -> None:
        clock, bench = life.device.clock, life.bench
        recording.moments.append(
            Moment(
                disk.now(),
                pickle.dumps((bench.model, bench.store)),
                life.device.hardware,
                clock.monotonic_s(),
                clock.realtime_ns(),
                life.samples,
            )
        )

    def stored(store: SpoolStore, first: int, seqs: range) -> None:
        at = disk.now()
        for i, seq in enumerate(seqs, first):
            taken_at = sample(i)[0]
            assert isinstance(taken_at, int)
            recording.stored.append(
                Stored(at, taken_at, store.install.install_id, store.epoch, seq)
            )
        look()

    def sent(request: HttpRequest) -> None:
        look()
        if request.operation is Operation.APPEND:
            _, epoch, _, seq = dict(request.query)["endOffsetToken"].split("|")
            recording.sent.append(Sent(disk.now(), epoch, int(seq)))

    def begin() -> None:
        recording.begin = disk.now()

    life.sent, life.stored, life.fault = sent, stored, disk.fault
    look()
    story(life, begin)
    look()
    recording.records = disk.records()
    return recording
