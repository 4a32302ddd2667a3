"""The drain over the real files: the ports fit, kills lose nothing, memory stays flat."""

import json
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK, read_ship_state
from common.spool.reader import SpoolReader
from common.spool.row import row_crc
from shipper.drain import Drain, Setup
from shipper.ledger import Ledger
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Operation, Target
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_device import Watcher
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Killed, Mortality
from tests.tools.spools import Device, samples


class Bench:
    """One device with real files, and the server's model."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.device = Device(root)
        self.limits = limits
        self.store = MemoryStore()
        self.model = IngestModel(self.store, Knobs(commit_delay_s=5.0, parses_rows=False), 0)
        self.mortality = Mortality()
        self.transport = SimTransport(self.model, Random(1), self.mortality, self.now_s)
        self.ids = 0
        self.open: list[Any] = []

    def now_s(self) -> float:
        """The server's clock."""
        return self.device.clock.monotonic_s()

    def process(self) -> Drain:
        """A new shipper process."""
        self.close()
        directory = self.device.directory
        spool, ledger = SpoolReader(directory), self.device.ledger()
        self.open = [spool, ledger]
        world = World(
            spool,
            ledger,
            self.transport,
            self.device.clock,
            Watcher(),
            FileLock(directory / EXPOSURE_LOCK),
        )
        setup = Setup(
            Target("A", "DB", "SCHEMA", "PIPE"),
            Present("A/DB.SCHEMA.PIPE", self.device.hardware),
            self.limits,
            Delays(lambda n: 1.0, lambda n: 15.0),
            600.0,
            self._new_id,
            row_crc,
        )
        return Drain(world, setup)

    def close(self) -> None:
        """The process is gone."""
        for thing in self.open:
            thing.close()

    def acknowledged(self) -> int:
        """The seq of the licence to trim; 0: none."""
        state = read_ship_state(self.device.directory)
        return 0 if state is None or state.acknowledged is None else state.acknowledged.seq

    def _new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


@pytest.mark.parametrize("seed", range(3))
def test_kills_between_real_transactions_lose_nothing(tmp_path: Path, seed: int) -> None:
    """Killed at any request while the line is bad: each row is in the table, once."""
    bench = Bench(tmp_path, Limits(batch_rows=5, interval_s=1.0, batch_bytes_max=4096))
    line, random = bench.transport.line, Random(seed)
    line.lost_request = line.lost_reply = line.broken = 0.05
    with bench.device.start() as spool:
        stored, drain, kills = 0, bench.process(), 0
        for step in range(3000):
            if step < 1500 and step % 5 == 0:
                spool.append(samples(stored, 3))
                stored += 3
            if step < 1500 and random.random() < 0.02:
                bench.mortality.calls_left = random.randint(1, 3)
            try:
                bench.device.clock.sleep(max(drain.step(), 0.02))
            except Killed:
                kills += 1
                bench.mortality.calls_left = None
                drain = bench.process()
            if step >= 1500 and bench.acknowledged() == stored:
                break
        bench.close()
    found = Counter(json.loads(row.row)["seq"] for row in bench.store.rows)
    assert kills > 5
    assert found == dict.fromkeys(range(1, stored + 1), 1)
    assert bench.acknowledged() == stored
    assert bench.model.tally.client_bugs == 0


def test_a_backlog_drains_in_large_batches_and_flat_memory(tmp_path: Path) -> None:
    """Twenty thousand rows: few requests, and the memory of one batch."""
    bench = Bench(tmp_path, Limits(batch_bytes_max=65_536, window_bytes=1 << 30))
    with bench.device.start() as spool:
        for first in range(0, 20_000, 1000):
            spool.append(samples(first, 1000))
        drain = bench.process()
        sizes: list[int] = []
        peaks: list[int] = []
        send = bench.transport.send

        def measured(request: Any, deadline_s: float) -> Any:
            if request.operation is Operation.APPEND:
                sizes.append(len(request.body))
            # What the server keeps is not the shipper's.
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            try:
                return send(request, deadline_s)
            finally:
                tracemalloc.start()

        bench.transport.send = measured  # type: ignore[method-assign]
        tracemalloc.start()
        for _ in range(2000):
            bench.device.clock.sleep(max(drain.step(), 0.02))
            if bench.acknowledged() == 20_000:
                break
        tracemalloc.stop()
        bench.close()
    assert bench.acknowledged() == 20_000
    assert len(bench.store.rows) == 20_000
    assert max(sizes) <= 65_536
    assert len([size for size in sizes if size > 60_000]) >= len(sizes) - 3
    assert max(peaks) < 2_000_000


def test_the_real_ledger_is_the_port(tmp_path: Path) -> None:
    """What the drain is typed against is what the real files offer."""
    device = Device(tmp_path)
    with device.start(), device.reader() as spool, device.ledger() as ledger:
        world = World(
            spool,
            ledger,
            SimTransport(IngestModel(), Random(0), Mortality(), lambda: 0.0),
            device.clock,
            Watcher(),
            FileLock(device.directory / EXPOSURE_LOCK),
        )
        assert isinstance(world.ledger, Ledger)
        ledger.settle(spool.install(), device.clock.realtime_ns())
        assert ledger.progress().exposed is None
        assert ledger.dead_letters.list() == []
