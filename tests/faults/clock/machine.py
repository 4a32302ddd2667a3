"""One Pi without a battery-backed clock: real sampler, real spool, real drain, and the true time.

The wall clock of each boot begins wrong by as much as a test says; the true time is known to the
test alone, so it can tell how each row in the table ought to be dated.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from collector.spool.store import SpoolStore
from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK, read_ship_state
from common.spool.reader import SpoolReader
from common.spool.row import row_crc
from shipper.drain import Drain, Setup
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Target
from tests.emulators.clock import START_REALTIME_NS, ManualClock
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_device import Watcher
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Mortality
from tests.tools.spools import HARDWARE, Device
from tests.unit.collector.bench import Bench

INTERVAL_S: Final = 5.0
CLOCK_WAIT_S: Final = 300.0
_UPTIME_S: Final = 20.0
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot, as the test knows it.

    Attributes:
        boot_id: as the kernel says it.
        true_offset_ns: true time minus boottime.
    """

    boot_id: str
    true_offset_ns: int


class Machine:
    """The device and its server, moved by hand.

    Args:
        root: an empty directory.
        seed: of ids.
    """

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.device = Device(root, seed)
        self.store = MemoryStore()
        self.model = IngestModel(self.store, Knobs(commit_delay_s=5.0, parses_rows=False), seed)
        self.boots: list[Boot] = []
        self.bench: Bench
        self.spool: SpoolStore
        self._random = Random(seed)
        self._true_ns = START_REALTIME_NS
        self._ids = 0

    @property
    def clock(self) -> ManualClock:
        """The clocks of the running boot."""
        return self.device.clock

    @contextmanager
    def boot(self, wrong_by_s: float, *, synchronised: bool = False) -> Iterator[None]:
        """A boot with a wall clock that is wrong by so much, until its power is cut.

        Args:
            wrong_by_s: added to the true time; negative: the clock is behind.
            synchronised: whether the kernel calls it right from the beginning.
        """
        self._true_ns += 60 * _NS
        self.device.reboot()
        clock = self.device.clock = ManualClock(
            realtime_ns=max(0, self._true_ns + round(wrong_by_s * _NS)), uptime_s=_UPTIME_S,
            boot_id=self._random.randbytes(16).hex(), synchronised=synchronised,
        )
        self.boots.append(Boot(clock.boot_id(), self._true_ns - clock.boottime_ns()))
        began_ns = clock.boottime_ns()
        self.bench = Bench(INTERVAL_S, clock=clock)
        self.transport = SimTransport(
            self.model, Random(1), Mortality(), lambda: self.true_ns() / _NS
        )
        reader, ledger = SpoolReader(self.device.directory), self.device.ledger()
        self.drain = self._drain(reader, ledger)
        with self.device.start() as self.spool, reader, ledger:
            yield
        self._true_ns += clock.boottime_ns() - began_ns

    def true_ns(self) -> int:
        """The true time now."""
        return self.boots[-1].true_offset_ns + self.clock.boottime_ns()

    def synchronise(self) -> None:
        """A time source arrives."""
        self.clock.synchronise((self.true_ns() - self.clock.realtime_ns()) / _NS)

    def run(self, seconds: float) -> None:
        """Sample, store and ship for so long."""
        for _ in range(round(seconds / INTERVAL_S)):
            self.bench.run(INTERVAL_S)
            self.spool.append(self.bench.rows)
            self.bench.rows.clear()
            for offset_ns in self.bench.offsets:
                self.spool.store_boot_offset(offset_ns)
            self.bench.offsets.clear()
            for _ in range(30):
                if self.drain.step() > 0:
                    break

    def home(self) -> None:
        """Let time pass until everything stored is acknowledged.

        Raises:
            AssertionError: it never is.
        """
        for _ in range(600):
            state = read_ship_state(self.device.directory)
            acknowledged = state.acknowledged if state is not None else None
            if acknowledged is not None and acknowledged.seq == self.spool.last_seq:
                return
            self.clock.sleep(max(self.drain.step(), 0.05))
        raise AssertionError(f"not home: {self.drain.reason}")

    @property
    def table(self) -> list[dict[str, Any]]:
        """What the server committed, in its order."""
        self.model.advance(self.true_ns() / _NS)
        return [json.loads(row.row) for row in self.store.rows]

    def _drain(self, reader: SpoolReader, ledger: Any) -> Drain:
        lock = FileLock(self.device.directory / EXPOSURE_LOCK)
        world = World(reader, ledger, self.transport, self.clock, Watcher(), lock)
        limits = Limits(batch_rows=5, interval_s=2.0, batch_bytes_max=65_536)
        setup = Setup(
            Target("A", "DB", "SCHEMA", "PIPE"), Present("A/DB.SCHEMA.PIPE", HARDWARE), limits,
            Delays(lambda n: 1.0, lambda n: 15.0), CLOCK_WAIT_S, self._new_id, row_crc,
        )
        return Drain(world, setup)

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"


def taken_ns(row: dict[str, Any]) -> int:
    """The time of a row of the table."""
    return round(datetime.fromisoformat(row["taken_at"]).astimezone(UTC).timestamp() * 1e6) * 1000


def verdict(machine: Machine) -> list[str]:
    """What is wrong with the times and the order in the table; empty: nothing.

    A row that says ``clock_synced`` has the true time of its boottime, to the microsecond; each
    row is there once, in the order of ``seq``; the boots follow one another.
    """
    offsets = {boot.boot_id: boot.true_offset_ns for boot in machine.boots}
    order = [boot.boot_id for boot in machine.boots]
    table = machine.table
    found = []
    if [row["seq"] for row in table] != list(range(1, machine.spool.last_seq + 1)):
        found.append(f"seq is {[row['seq'] for row in table]}, stored {machine.spool.last_seq}")
    places = [(order.index(row["boot_id"]), row["boottime_ns"]) for row in table]
    samples = [p for p, row in zip(places, table, strict=True) if row["kind"] == "sample"]
    if samples != sorted(samples):
        found.append("the order of seq is not the order in which samples were taken")
    for row in table:
        wrong_ns = taken_ns(row) - offsets[row["boot_id"]] - row["boottime_ns"]
        if row["clock_synced"] and abs(wrong_ns) > 2000:
            found.append(f"row {row['seq']} is called synchronised and is {wrong_ns} ns off")
    return found
