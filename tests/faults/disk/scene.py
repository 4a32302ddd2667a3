"""A device with two boots behind it and a server that has half of its rows: made once, then copied.

Each trial gets a copy of the disk and of the server. What the rows are is not taken from the spool
that is about to be damaged, but from the table after an undamaged copy was drained.
"""

import copy
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from collector.spool.options import Limits
from collector.spool.position import POSITION_FILE
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.sample import Kind
from common.ship_state import read_ship_state
from common.spool.row import NewRow, new_row
from common.spool.schema import SPOOL_FILE
from shipper.protocol.limits import Limits as SendLimits
from tests.emulators.clock import START_REALTIME_NS, ManualClock
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import CommittedRow, MemoryStore
from tests.model.simulation_server import SimTransport
from tests.model.test_real_files import Bench
from tests.tools.spools import Device, samples

LIMITS: Final = Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0, retain_rows=40)
SENDING: Final = SendLimits(batch_rows=20, interval_s=1.0, batch_bytes_max=65_536)
GROUP: Final = 5
STEPS_MAX: Final = 4000

Key = tuple[str, str, int]
"""Install, epoch, seq."""

Arrived = dict[str, Any]
"""One committed row, decoded."""


class Shore(Bench):
    """The shipper and the server of one trial, over the files of a device.

    Args:
        device: whose files they are.
        model: the server; ``None``: an empty one.
    """

    def __init__(self, device: Device, model: IngestModel | None = None) -> None:
        super().__init__(device.directory.parent, SENDING)
        self.device = device
        if model is not None:
            self.model = copy.deepcopy(model)
            assert isinstance(self.model.store, MemoryStore)
            self.store = self.model.store
            self.transport = SimTransport(self.model, Random(1), self.mortality, self.now_s)

    def now_s(self) -> float:
        """The server's clock, which goes on when the device reboots."""
        return self.device.clock.realtime_ns() / 1e9

    def arrived(self) -> list[Arrived]:
        """The table."""
        return decoded(self.store.rows)


def decoded(rows: Iterable[CommittedRow]) -> list[Arrived]:
    """Committed rows, decoded."""
    return [json.loads(row.row) for row in rows]


def key_of(row: Arrived) -> Key:
    """The identity of an arrived row."""
    return row["install_id"], row["epoch"], row["seq"]


def gap_of(count: int) -> NewRow:
    """A gap row of ticks that were never taken, as the collector itself writes one."""
    detail = {"first_seq": None, "last_seq": None, "count": count, "reason": "missed_ticks"}
    named = {"taken_at": START_REALTIME_NS // 1000, "clock_synced": 1, "boottime_ns": 5}
    return new_row({**named, "kind": Kind.GAP.value, "detail": json.dumps(detail)})


@dataclass(frozen=True, slots=True)
class Scene:
    """What every trial begins with.

    Attributes:
        root: holds ``clean`` and ``killed``: the same spool after a clean stop, and as a power cut
            leaves it, with a write-ahead log that holds its newest rows.
        clock: the device's.
        model: the server.
        truth: all rows of the spool, as they arrive when nothing is wrong.
        before: how many rows of the server the damage finds there.
        last_seq: greatest seq of the spool.
        exposed: greatest seq that may have left the device.
    """

    root: Path
    clock: ManualClock
    model: IngestModel
    truth: dict[Key, Arrived]
    before: int
    last_seq: int
    exposed: int

    def device(self, root: Path, form: str, seed: int, *, reboot: bool) -> Device:
        """A copy of the disk.

        Args:
            root: an empty directory for it.
            form: ``clean`` or ``killed``.
            seed: of the ids that are made from now on.
            reboot: start in a new boot, where the runtime directory is empty.
        """
        shutil.copytree(self.root / form, root, dirs_exist_ok=True)
        device = Device(root, seed, LIMITS)
        device.clock = copy.deepcopy(self.clock)
        _rename_inode(device)
        if reboot:
            later_s = (self.clock.realtime_ns() - START_REALTIME_NS) / 1e9 + 60.0
            device.reboot()
            device.clock.step(later_s)
        return device


def build(root: Path, rows: int = 600) -> Scene:
    """Make the scene: two boots, committed, exposed and never sent rows, a gap row, an event.

    Args:
        root: an empty directory.
        rows: samples in all.
    """
    device = Device(root / "life", 7, LIMITS)
    shore = Shore(device)
    third = rows // 3
    with device.start() as store:
        _append(store, 0, third)
        store.append([gap_of(3)])
        _ship(shore, store, third // 2)
    clock = device.clock
    device.reboot()
    device.clock.step((clock.realtime_ns() - START_REALTIME_NS) / 1e9 + 60.0)
    with device.start() as store:
        _append(store, third, third)
        _ship(shore, store, third + third // 2)
        _append(store, 2 * third, third // 2)
        _expose(shore)
        with store.reading("checkpoint") as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        _append(store, 2 * third + third // 2, third - third // 2)
        store.append([gap_of(2)])
        shore.close()
        _copy(device, root / "killed")
        last_seq = store.last_seq
    _copy(device, root / "clean")
    ship = read_ship_state(device.directory)
    assert ship is not None
    assert ship.exposed is not None
    before, model, clock = len(shore.store.rows), copy.deepcopy(shore.model), device.clock
    device.clock = copy.deepcopy(clock)
    with device.start() as store:
        _ship(shore, store, store.last_seq)
    shore.close()
    truth = {key_of(row): row for row in shore.arrived() if row["seq"] <= last_seq}
    return Scene(root, clock, model, truth, before, last_seq, ship.exposed.seq)


def _rename_inode(device: Device) -> None:
    """Make the position record tell of the copy, as if it were the file that was written."""
    path = device.runtime / POSITION_FILE
    named = (device.directory / SPOOL_FILE).stat()
    record = json.loads(path.read_text()) | {"device": named.st_dev, "inode": named.st_ino}
    path.write_text(json.dumps(record))


def _append(store: SpoolStore, first: int, count: int) -> None:
    """Store samples in groups, as a collector does."""
    for i in range(first, first + count, GROUP):
        store.append(samples(i, min(GROUP, first + count - i)))


def _ship(shore: Shore, store: SpoolStore, through: int) -> None:
    """Let a shipper work until it has an acknowledgement; the last batches stay unconfirmed."""
    drain, upkeep = shore.process(), Upkeep(store)
    for _ in range(STEPS_MAX):
        shore.device.clock.sleep(max(drain.step(), 0.02))
        if shore.acknowledged() >= through:
            break
    else:
        raise AssertionError(f"not acknowledged: {shore.acknowledged()} of {through}")
    upkeep.run()


def _expose(shore: Shore) -> None:
    """Let a shipper send some rows that the server has accepted, and not committed."""
    drain = shore.process()
    shore.model.knobs.commits_stuck = True
    for _ in range(12):
        shore.device.clock.sleep(max(drain.step(), 0.02))
    shore.model.knobs.commits_stuck = False


def _copy(device: Device, to: Path) -> None:
    """The disk and the runtime directory as they are now."""
    shutil.copytree(device.directory, to / "spool")
    shutil.copytree(device.runtime, to / "run")

