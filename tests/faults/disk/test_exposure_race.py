"""Thinning and sending at the same time: no row that was exposed is ever thinned (rule 20).

The shipper's side runs in a thread of its own over its own files and its own lock object, with
random pauses between reading, exposing and reading again, as a batch that is sent twice does.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from collector.spool.options import Limits
from collector.spool.upkeep import Upkeep
from common.database import SpoolFull
from common.identity import Position
from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK
from common.spool.reader import SpoolReader
from tests.tools.spools import Device, close_opened, samples

SEEDS = 12
LIMITS = Limits(cap_bytes=4 * 1024 * 1024, free_reserve_bytes=0, retain_rows=1)
PASSES = 3
ROWS_MAX = 60_000


@dataclass(slots=True)
class Sender:
    """The shipper's side of the race.

    Attributes:
        exposed: seqs of every row that was about to leave.
        careful: whether it holds the lock from reading to exposing; without: the mistake.
    """

    device: Device
    random: Random
    careful: bool
    exposed: list[int] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Expose batch after batch until told to stop."""
        try:
            with SpoolReader(self.device.directory) as reader, self.device.ledger() as ledger:
                ledger.settle(reader.install(), 0)
                after: Position | None = None
                while not self.stop.is_set():
                    lock = FileLock(self.device.directory / EXPOSURE_LOCK, 10.0)
                    if self.careful:
                        lock.acquire(10.0)
                    rows = reader.read_after(after, self.random.randint(1, 200))
                    time.sleep(self.random.random() * 0.01)
                    if rows:
                        ledger.expose(rows[-1].origin.epoch, rows[-1].seq)
                        self.exposed += [row.seq for row in rows]
                        after = rows[-1].position
                    lock.release()
                    time.sleep(self.random.random() * 0.02)
        except BaseException as error:  # noqa: BLE001 - told by the test that waits for us
            self.failed.append(error)


def race(root: Path, seed: int, *, careful: bool = True) -> tuple[int, int, int]:
    """Fill a small spool while rows leave it.

    Returns:
        Thinning passes, rows exposed, and exposed rows that the spool no longer has.
    """
    device, random = Device(root, seed, LIMITS), Random(seed)
    sender = Sender(device, random, careful)
    thread = threading.Thread(target=sender.run)
    passes = taken = 0
    with device.start() as store:
        upkeep = Upkeep(store)
        store.append(samples(0, 200))
        thread.start()
        while passes < PASSES and taken < ROWS_MAX:
            with contextlib.suppress(SpoolFull):
                store.append(samples(200 + taken, 250))
            taken += 250
            passes += upkeep.run().thinned is not None
            time.sleep(0.001)
        sender.stop.set()
        thread.join(30.0)
        with store.reading("test") as connection:
            here = {seq for (seq,) in connection.execute("SELECT seq FROM readings")}
    close_opened()
    assert not sender.failed, sender.failed
    return passes, len(sender.exposed), len(set(sender.exposed) - here)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_exposed_row_is_thinned(tmp_path: Path, seed: int) -> None:
    """Whatever the timing: what may have left stays until it is acknowledged."""
    passes, exposed, gone = race(tmp_path, seed)
    assert passes == PASSES
    assert exposed > 100
    assert gone == 0


@pytest.mark.heavy
def test_negative_control_without_the_lock_exposed_rows_vanish(tmp_path: Path) -> None:
    """A sender that reads, and exposes a moment later without the lock: rows go in between."""
    gone = 0
    for seed in range(40):
        gone += race(tmp_path / str(seed), seed, careful=False)[2]
        if gone:
            break
    assert gone > 0
