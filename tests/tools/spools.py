"""A device's disk for tests: a spool whose boots, cards, kills and cuts a test decides."""

import contextlib
import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol, TypeVar

from collector.spool.options import Limits, Means, Names, SpoolOptions
from collector.spool.store import SpoolStore, open_and_settle
from common.columns import Scalar
from common.identity import Hardware, Position
from common.spool.migrate import migrate
from common.spool.prepare import drop_stray_log
from common.spool.reader import SpoolReader
from common.spool.row import INDEX, NewRow, StoredRow, new_row
from shipper.ledger import Ledger
from tests.emulators.clock import ManualClock

HARDWARE = Hardware("board-1", "card-1")
TEST_LIMITS = Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0, retain_rows=1)


@functools.cache
def _template(kind: str) -> bytes:
    """An empty file with its tables, made once by the product's own migration."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file.db"
        migrate(path, kind)
        return path.read_bytes()


def prepare_quickly(path: Path, kind: str, supported: int) -> None:
    """Like ``common.spool.prepare.prepare``, without a child process for each test."""
    if not path.exists() or path.stat().st_size == 0:
        drop_stray_log(path)
        path.write_bytes(_template(kind))


def sample(i: int, **values: Scalar) -> NewRow:
    """The i-th sample of a made-up day."""
    row: dict[str, Scalar] = {
        "taken_at": 1_792_000_000_000_000 + 5_000_000 * i,
        "clock_synced": 1,
        "boottime_ns": 100_000_000_000 + 5_000_000_000 * i,
        "scd4x_co2_ppm": 420.0 + i % 100,
        "scd4x_temperature_c": 21.5,
        "icp10125_pressure_pa": 101_325.25 - i % 50,
        "quality": "VALID",
        "sensor_status": '{"scd4x":"ok","icp10125":"ok","sgp30":"absent"}',
        "kind": "sample",
    }
    return new_row({**row, **values})


def samples(first: int, count: int) -> list[NewRow]:
    """Consecutive samples."""
    return [sample(i) for i in range(first, first + count)]


def value(row: StoredRow, name: str) -> Scalar:
    """One column of a stored row."""
    return row.values[INDEX[name]]


class Closes(Protocol):
    """Something that holds a file open until it is closed; a second close does nothing."""

    def close(self) -> None:
        """Let go of the file."""


_T = TypeVar("_T", bound=Closes)
_OPENED: Final[list[Closes]] = []


def opened(thing: _T) -> _T:
    """Have a reader or a ledger closed at the end of the test, whatever becomes of it."""
    _OPENED.append(thing)
    return thing


def close_opened() -> None:
    """Close what ``opened`` was told of; Python 3.13 complains of files that nobody closes."""
    while _OPENED:
        _OPENED.pop().close()


class Device:
    """One device with one disk; its services are opened by hand.

    Args:
        root: an empty directory for the disk and the runtime directory.
        seed: of its random ids.
        limits: of its spool.
    """

    def __init__(self, root: Path, seed: int = 1, limits: Limits = TEST_LIMITS) -> None:
        self.directory = root / "spool"
        self.runtime = root / "run"
        self.runtime.mkdir(parents=True, exist_ok=True)
        self.clock = ManualClock()
        self.hardware = HARDWARE
        self.limits = limits
        self.random = Random(seed)
        self.means = Means(prepare=prepare_quickly, random_bytes=self.random.randbytes)

    @property
    def options(self) -> SpoolOptions:
        """The options of a start now."""
        names = Names("pi-1", "raspberrypi", "0.1.0")
        return SpoolOptions(self.directory, names, self.hardware, self.limits, self.runtime)

    def start(self) -> SpoolStore:
        """Start the collector's spool."""
        return open_and_settle(self.options, self.clock, self.means)

    def ledger(self) -> Ledger:
        """Start the shipper's file."""
        means = self.means
        made = Ledger(self.directory, means.open_writer, self.random.randbytes, means.prepare)
        return opened(made)

    def reader(self) -> SpoolReader:
        """The shipper's view."""
        return opened(SpoolReader(self.directory))

    def reboot(self) -> None:
        """A new boot: another boot id, and an empty runtime directory."""
        shutil.rmtree(self.runtime)
        self.runtime.mkdir()
        self.clock = ManualClock(boot_id=self.random.randbytes(16).hex())

    def copy(self, root: Path) -> "Device":
        """The disk as a power cut now would leave it, in another device with the same hardware.

        With ``synchronous=FULL`` all that was committed is in the files.
        """
        shutil.copytree(self.directory, root / "spool")
        other = Device(root, limits=self.limits)
        other.random = Random(self.random.random())
        other.means = replace(other.means, random_bytes=other.random.randbytes)
        other.clock, other.hardware = self.clock, self.hardware
        return other


def drain(reader: SpoolReader, after: Position | None = None, batch: int = 100) -> list[StoredRow]:
    """All rows after a position, batch by batch as a shipper reads them; closes the file."""
    rows: list[StoredRow] = []
    with reader:
        while got := reader.read_after(after, batch):
            rows += got
            after = got[-1].position
    return rows


def keys(rows: Iterable[StoredRow]) -> list[tuple[str, int]]:
    """(epoch, seq) of rows."""
    return [(row.origin.epoch, row.seq) for row in rows]


def wait_until(check: Callable[[], Any], steps: int = 1000) -> None:
    """Repeat until it is true.

    Raises:
        AssertionError: it never was.
    """
    for _ in range(steps):
        if check():
            return
    raise AssertionError("never came true")


def forget_clean_stop(device: Device) -> None:
    """Make a stopped spool look as after a kill."""
    with contextlib.closing(sqlite3.connect(device.directory / "spool.db")) as connection:
        connection.execute("UPDATE state SET value = '0' WHERE key = 'clean_stop'")
        connection.commit()


def damage(path: Path, pages: range) -> None:
    """Overwrite pages of the closed file."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)


def leaf_pages(path: Path) -> list[int]:
    """Numbers, from 0, of the pages that hold readings, from oldest to newest."""
    data = path.read_bytes()
    return [
        page
        for page in range(1, len(data) // 4096)
        if data[page * 4096] == 0x0D and data[page * 4096 : (page + 1) * 4096].count(b"VALID") > 5
    ]


def killed(device: Device, rows: int = 3000) -> tuple[str, str]:
    """Store rows and stop without a clean stop; returns install and epoch."""
    with device.start() as store:
        store.append(samples(0, rows))
        identity = store.install.install_id, store.epoch
    forget_clean_stop(device)
    return identity
