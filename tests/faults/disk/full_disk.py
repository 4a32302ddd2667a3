"""Both services' files on a disk that is full: ``python -m tests.faults.disk.full_disk DIR WHAT``.

Runs inside a mount namespace on a small tmpfs. Another program fills the disk up to a level, the
collector's storing side goes on, the room comes back, and what was taken is held against what is
stored: every tick is a row or stands in the count of a gap row.
"""

import errno
import io
import json
import os
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from collector.ring import Ring
from collector.spool.options import Limits
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from collector.stamp import Stamp
from collector.timekeeping import Timekeeper
from collector.writer import Writer
from common.errors import SpoolError
from common.logs import Log
from common.spool.row import NewRow
from tests.tools.spools import Device, close_opened, drain, sample, samples, value

KIB: Final = 1024
LIMITS: Final = Limits(cap_bytes=2 * 1024 * KIB, free_reserve_bytes=0, retain_rows=1)
LARGE: Final = Limits(cap_bytes=256 * 1024 * KIB, free_reserve_bytes=0, retain_rows=1)
RING_ROWS: Final = 40
BEFORE: Final = 300
DURING: Final = 60
AFTER: Final = 10
TICK_S: Final = 5.0


@dataclass(slots=True)
class Filler:
    """Another program that takes the disk's room, all but so many bytes."""

    directory: Path
    files: list[Path] = field(default_factory=list)

    def leave(self, free_bytes: int) -> None:
        """Take all room but this."""
        path = self.directory / f"filler-{len(self.files)}"
        self.files.append(path)
        disk = os.statvfs(self.directory)
        size = disk.f_bavail * disk.f_frsize - free_bytes
        with path.open("wb") as file:
            if size > 0:
                os.posix_fallocate(file.fileno(), 0, size)

    def take_inodes(self, left: int) -> None:
        """Take all inodes but so many."""
        while os.statvfs(self.directory).f_ffree > left:
            self.files.append(self.directory / f"name-{len(self.files)}")
            self.files[-1].touch()

    def give_back(self) -> None:
        """The other program cleans up."""
        for path in self.files:
            path.unlink(missing_ok=True)
        self.files.clear()


class Side:
    """The collector's storing side, without threads: writer, ring, upkeep over a real spool."""

    def __init__(self, device: Device, store: SpoolStore) -> None:
        self.device, self.store = device, store
        self.writer = Writer(
            store, TICK_S, device.clock, Timekeeper(device.clock),
            Log("thermal-collector", stream=io.StringIO()), Ring(RING_ROWS),
        )  # fmt: skip
        self.upkeep = Upkeep(store)
        self.taken = 0
        self.failed: Counter[str] = Counter()

    def rebind(self, store: SpoolStore) -> None:
        """Go on with a store that was opened anew, and what the ring holds."""
        self.store = store
        self.writer._store = store
        self.upkeep = Upkeep(store)

    def tick(self, count: int) -> None:
        """Take so many samples, one each five seconds, as the storing thread does."""
        for _ in range(count):
            self.writer.keep(sample(BEFORE + self.taken))
            self.taken += 1
            self.device.clock.advance(TICK_S)
            if self.writer.due_in_s() == 0:
                self.attempt("store", self.writer.store)
            if self.taken % 2 == 0:
                self.attempt("care", self.upkeep.run)

    def finish(self) -> None:
        """Let what waits be stored."""
        for _ in range(40):
            self.device.clock.advance(30.0)
            self.attempt("store", self.writer.store)
            self.attempt("care", self.upkeep.run)
            if not self.writer.waiting:
                return

    def attempt(self, what: str, act: Callable[[], object]) -> None:
        """Do something that may fail, as the storing thread does; count how it failed."""
        try:
            act()
        except SpoolError as error:
            self.failed[f"{what} {type(error).__name__}"] += 1


def judge(device: Device, side: Side) -> list[str]:
    """What is wrong after the room came back; empty: nothing."""
    wrong = [] if not side.writer.waiting else [f"{side.writer.waiting} rows still wait"]
    rows = drain(device.reader(), batch=1000)
    wrong += ["a row is not what was stored"] if not all(row.intact for row in rows) else []
    numbers = [row.seq for row in rows]
    wrong += ["seq is not in order"] if numbers != sorted(set(numbers)) else []
    kept: Counter[int] = Counter()
    told = 0
    for row in rows:
        if value(row, "kind") == "sample":
            kept[int(str(value(row, "taken_at")))] += 1
        else:
            told += json.loads(str(value(row, "detail")))["count"] or 0
    wrong += ["a sample is stored twice"] if set(kept.values()) - {1} else []
    total = sum(kept.values()) + told
    if total != BEFORE + side.taken:
        wrong.append(f"{total} of {BEFORE + side.taken}: {len(kept)} rows, {told} in gap rows")
    with closing(device.means.open_reader(device.directory / "spool.db")) as connection:
        answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return wrong + ([] if answer == "ok" else [answer])


def _begin(root: Path, limits: Limits = LIMITS) -> tuple[Device, Side]:
    """A spool with some rows in it and its ballast."""
    device = Device(root, limits=limits)
    store = device.start()
    for first in range(0, BEFORE, 10):
        store.append(samples(first, 10))
    side = Side(device, store)
    side.upkeep.run()
    return device, side


def _once(root: Path, filler: Filler, spoil: Callable[[], None]) -> dict[str, Any]:
    """One story: rows, the trouble, more rows, the end of the trouble, more rows."""
    device, side = _begin(root)
    spoil()
    side.tick(DURING)
    stored_meanwhile = side.writer.rows_stored
    ballast_kept = (device.directory / "ballast").exists()
    filler.give_back()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    side.finish()
    side.tick(AFTER)
    side.finish()
    wrong = judge(device, side)
    dropped = side.writer.dropped
    side.store.close()
    close_opened()
    shutil.rmtree(root)
    return {
        "wrong": wrong,
        "stored": stored_meanwhile,
        "dropped": dropped,
        "ballast_kept": ballast_kept,
        "failed": dict(side.failed),
        "failures": side.writer.failures,
    }


def levels(root: Path, step: int, count: int) -> list[dict[str, Any]]:
    """The disk is filled to each level in turn."""
    found = []
    for number in range(count):
        filler = Filler(root)
        found.append(_once(root / "life", filler, partial(filler.leave, number * step)))
    return found


def inodes(root: Path, step: int, count: int) -> list[dict[str, Any]]:
    """The disk has room, but hardly a name left."""
    found = []
    for left in range(0, step * count, step):
        filler = Filler(root)
        found.append(_once(root / "life", filler, partial(filler.take_inodes, left)))
    return found


def file_size(root: Path, step: int, count: int) -> list[dict[str, Any]]:
    """No file may grow beyond a bound (RLIMIT_FSIZE): writes fail with EFBIG."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    found = []
    for number in range(1, count + 1):
        bound = (number * step, resource.RLIM_INFINITY)
        spoil = partial(resource.setrlimit, resource.RLIMIT_FSIZE, bound)
        found.append(_once(root / "life", Filler(root), spoil))
    return found


def full_log(root: Path, ballast: int, rows: int) -> list[dict[str, Any]]:
    """All room is taken while the write-ahead log holds rows that were never checkpointed.

    Args:
        root: where the tmpfs is.
        ballast: 0: the ballast is taken away before.
        rows: how many rows the log holds.
    """
    device, side = _begin(root / "life", LARGE)
    with side.store.reading("spoil") as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
    side.writer.keep(sample(BEFORE))
    side.taken += 1
    side.finish()
    for first in range(1, rows, 10):
        side.store.append(samples(BEFORE + first, 10))
    filler = Filler(root)
    if not ballast:
        (device.directory / "ballast").unlink()
    filler.leave(0)
    log_bytes = (device.directory / "spool.db-wal").stat().st_size
    side.taken = 0
    for _ in range(20):
        side.writer.keep(sample(900_000 + side.taken))
        side.taken += 1
        side.device.clock.advance(TICK_S)
        side.attempt("store", side.writer.store)
        side.attempt("care", side.upkeep.run)
    stored = side.writer.rows_stored - 1
    filler.give_back()
    side.finish()
    side.store.close()
    close_opened()
    return [{"stored": stored, "log_bytes": log_bytes, "failed": dict(side.failed)}]


def _forget() -> None:
    """A chunk that was refused is not taken back."""
    Ring.failed = Ring.stored  # type: ignore[method-assign]


def _tell_nothing() -> None:
    """What the ring gave up is counted, and never told."""
    take = Ring.take

    def silent(self: Ring, stamp: Stamp) -> list[NewRow]:
        self._loss = None
        return take(self, stamp)

    Ring.take = silent  # type: ignore[method-assign]


MISTAKES: Final = {"ring forgets": _forget, "gap row is not stored": _tell_nothing}
SCENARIOS: Final = {
    "levels": levels,
    "inodes": inodes,
    "file_size": file_size,
    "full_log": full_log,
}


def main() -> int:
    """Run a scenario; the last line of the output is what was found, as JSON."""
    root, name, step, count = sys.argv[1:5]
    for mistake in sys.argv[5:]:
        MISTAKES[mistake]()
    try:
        found = SCENARIOS[name](Path(root), int(step), int(count))
    except OSError as error:
        sys.stderr.write(f"{errno.errorcode.get(error.errno or 0)}: {error}\n")
        raise
    sys.stdout.write(json.dumps({"trials": found}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
