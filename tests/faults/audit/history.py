"""A device's life over the real files and the emulator's table, for the audit to look at.

The collector's spool code, the drain and the ledger are the product's; the server is the emulator's
model in memory. A test moves it by hand: it stores, ships, reboots, rolls the card back.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

from collector.gaps import Gap, GapReason, gap_row
from collector.spool import thinning
from collector.spool.store import SpoolStore
from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from collector.stamp import read_stamp
from common.database import open_reader
from common.ship_state import read_ship_state
from common.spool.row import NewRow
from shipper.protocol.limits import Limits
from tests.emulators.clock import ManualClock
from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.rows import Poison
from tests.model.test_real_files import Bench
from tests.tools.spools import damage, forget_clean_stop, leaf_pages, sample, samples

PIPE: Final = Pipe("DB", "SCHEMA", "PIPE")
SPARE: Final = Limits(batch_rows=20, interval_s=1.0, batch_bytes_max=16_384)
_DAY_S: Final = 86_400.0
_STEPS_MAX: Final = 4000


class History(Bench):
    """See the module.

    Args:
        root: an empty directory.
        retain_rows: committed rows that the spool keeps; at least one always is.
        model: the server; ``None``: one of its own.
    """

    def __init__(self, root: Path, retain_rows: int = 1, model: IngestModel | None = None) -> None:
        self.before_s = 0.0
        super().__init__(root, SPARE)
        self.device.limits = replace(self.device.limits, retain_rows=retain_rows)
        if model is not None:
            self.model, self.transport.model = model, model
        self.root = root
        self.taken = 0
        self.model.knobs.parses_rows = True
        self.model.knobs.commit_delay_s = 1.0
        self._collector: SpoolStore | None = None

    def now_s(self) -> float:
        """The server's clock, which goes on over boots."""
        return self.before_s + self.device.clock.monotonic_s()

    @property
    def collector(self) -> SpoolStore:
        """The running collector's store; started when there is none."""
        if self._collector is None:
            self._collector = self.device.start()
        return self._collector

    def stop(self) -> None:
        """Both services stop cleanly."""
        self.close()
        self.open.clear()
        if self._collector is not None:
            self._collector.close()
            self._collector = None

    def reboot(self, down_s: float = 60.0) -> None:
        """A new boot, some time later."""
        self.stop()
        clock = self.device.clock
        self.before_s += clock.monotonic_s() + down_s - 100.0
        realtime_ns = clock.realtime_ns() + round(down_s * 1e9)
        self.device.reboot()
        boot_id = self.device.clock.boot_id()
        self.device.clock = ManualClock(realtime_ns=realtime_ns, boot_id=boot_id)

    def take(self, count: int) -> None:
        """Store samples."""
        self.collector.append(samples(self.taken, count))
        self.taken += count

    def take_bad(self) -> None:
        """Store one sample that the server refuses at the door (see ``poisoned``)."""
        self.collector.append([sample(self.taken, scd4x_co2_ppm=666.0)])
        self.taken += 1

    def take_rejected(self) -> None:
        """Store one sample that the table refuses after the server had accepted it."""
        self.collector.append([sample(self.taken, scd4x_co2_ppm=777.0)])
        self.taken += 1

    def tell(self, gap: Gap) -> None:
        """Store a gap row, as a collector does of ticks that it never stored."""
        self.collector.append([gap_row(gap, read_stamp(self.device.clock))])

    def append(self, rows: list[NewRow]) -> None:
        """Store any rows."""
        self.collector.append(rows)

    def drop(self) -> None:
        """Make room as when there is nothing left to thin."""
        with mock.patch.object(thinning, "STRIDE_MAX", 1):
            assert thin(self.collector, self.acknowledged(), 100) is not None

    def poisoned(self) -> None:
        """From now on CO2 of 666 fails the request, and 777 is a row error."""
        self.model.knobs.refuse_rules = (Poison("scd4x_co2_ppm", "666.0"),)
        self.model.knobs.row_rules = (Poison("scd4x_co2_ppm", "777.0"),)

    def ship(self, upkeep: bool = True) -> None:
        """Let the shipper work, and the collector care for the spool, until all is at home."""
        care = Upkeep(self.collector)
        drain = self.process()
        quiet = 0
        for step in range(_STEPS_MAX):
            self.device.clock.sleep(max(drain.step(), 0.02))
            if upkeep and step % 10 == 9:
                care.run()
            at_home = self.acknowledged() == self.collector.last_seq and not self._requested()
            quiet = quiet + 1 if at_home else 0
            if quiet > 30:
                return
        raise AssertionError(f"{self.acknowledged()} of {self.collector.last_seq} acknowledged")

    def next_day(self) -> None:
        """A day passes, so that coalesced events are told; a heartbeat keeps the channel."""
        self.device.clock.advance(_DAY_S)
        self.ship()

    def lose_channel(self) -> None:
        """The server forgets the channel: the next open makes it anew."""
        self.stop()
        self.model.lose(self.channel)

    def snapshot(self, name: str) -> Path:
        """Copy the card as it is, for a later ``roll_back``."""
        self.stop()
        return Path(shutil.copytree(self.device.directory, self.root / name))

    def roll_back(self, to: Path) -> None:
        """Both files fall back to a snapshot, as on a card that lied about fsync; a boot later."""
        self.reboot()
        shutil.rmtree(self.device.directory)
        shutil.copytree(to, self.device.directory)

    @property
    def channel(self) -> ChannelName:
        """The live channel."""
        return ChannelName(PIPE, self.install_channel())

    def install_channel(self) -> str:
        """Its name, from the spool."""
        connection = open_reader(self.device.directory / "spool.db")
        try:
            found = connection.execute("SELECT install_id FROM install").fetchone()[0]
        finally:
            connection.close()
        return f"TH_{found}"

    def rows(self) -> list[dict[str, Any]]:
        """The table."""
        self.model.advance(self.now_s())
        return [json.loads(row.row) for row in self.store.rows]

    def _requested(self) -> bool:
        state = read_ship_state(self.device.directory)
        return state is not None and bool(state.requests)


def whole_life(root: Path) -> History:
    """Everything that a device can live through and explain, one thing a day."""
    life = History(root)
    life.take(100)
    life.ship()
    life.reboot()
    life.tell(Gap(GapReason.KILLED, 3))
    life.take(50)
    life.poisoned()
    life.take_bad()
    life.take(30)
    life.take_rejected()
    life.take(30)
    life.ship()
    _thinned(life)
    _card_rolled_back(life)
    _boots_lost(life)
    _spool_rolled_back(life)
    life.lose_channel()
    life.take(20)
    life.ship()
    life.next_day()
    _damaged(life)
    life.next_day()
    _spool_lost(life)
    life.next_day()
    life.stop()
    return life


def _thinned(life: History) -> None:
    """A month without network: two passes of thinning, and one that drops."""
    life.take(6000)
    after = life.acknowledged()
    for _ in range(2):
        assert thin(life.collector, after, 60) is not None
    life.ship()


def _card_rolled_back(life: History) -> None:
    """The card loses rows that the server has; the epoch before branches."""
    kept = life.snapshot("tail")
    life.take(40)
    life.ship()
    life.roll_back(kept)
    life.take(60)
    life.ship()
    life.next_day()


def _boots_lost(life: History) -> None:
    """The card loses whole boots that the server has."""
    kept = life.snapshot("boots")
    life.take(30)
    life.ship()
    life.reboot()
    life.take(30)
    life.ship()
    life.roll_back(kept)
    life.take(80)
    life.ship()
    life.next_day()


def _spool_rolled_back(life: History) -> None:
    """Only the spool falls back; the shipper's file knows what had left."""
    kept = life.snapshot("spool-only")
    life.take(25)
    life.ship()
    life.reboot()
    for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
        (life.device.directory / name).unlink(missing_ok=True)
        if (kept / name).exists():
            shutil.copy(kept / name, life.device.directory / name)
    life.take(15)
    life.ship()
    life.next_day()


def _damaged(life: History) -> None:
    """Pages of the spool rot while rows wait: quarantine, salvage, a jump of seq; then a full card.

    The gap rows of the quarantine are dropped before they were sent; the drop tells them on.
    """
    life.take(2000)
    life.reboot()
    forget_clean_stop(life.device)
    path = life.device.directory / "spool.db"
    with closing(sqlite3.connect(path)) as connection:
        # Only pages in use are left, and none of them in the log.
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    leaves = leaf_pages(path)
    damage(path, range(leaves[len(leaves) // 2], leaves[len(leaves) // 2] + 1))
    care = Upkeep(life.collector)
    while care.run().salvaging:
        pass
    life.take(3000)
    life.drop()
    life.ship()


def _spool_lost(life: History) -> None:
    """The spool is gone, the shipper's file goes on; the jump's gap row is dropped unsent."""
    life.stop()
    for path in life.device.directory.glob("spool.db*"):
        path.unlink()
    life.take(3000)
    life.drop()
    life.ship()
