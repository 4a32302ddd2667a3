"""A damageable disk in a process of its own, seen from the test: mount, log, power cut, faults."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.emulators.disk.faults import Faults, Order, first_number
from tests.emulators.disk.operations import Record, read_log
from tests.emulators.disk.tree import Tree
from tests.emulators.fuse import DEVICE, Mount

REPOSITORY: Final = Path(__file__).parent.parent.parent.parent
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
READY_LIMIT_S: Final = 20.0


class DiskFailed(RuntimeError):
    """The file system did not come up; its last words say why."""


def why_no_disk() -> str | None:
    """Why such a disk cannot be had here; ``None`` when it can."""
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} is missing or may not be opened"
    try:
        with tempfile.TemporaryDirectory() as directory:
            Mount(Path(directory) / "disk", directory=True, name="disk").close()
    except OSError as error:
        return str(error)
    return None


def memory_directory() -> Path | None:
    """Where images are made: in memory where the machine has it, else where files usually go."""
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None


class Disk:
    """See the module; made by ``mounted``.

    Attributes:
        mount: where it is mounted.
        base: what it held when this life of it began.
    """

    def __init__(self, mount: Path, work: Path, image: Path | None) -> None:
        self.mount = mount
        self._work = work
        self._order = Order(0, "", "")
        self._process: subprocess.Popen[bytes] | None = None
        self.base = Tree()
        self.become(image)

    @property
    def log(self) -> Path:
        """The file that the operations of this life are noted in."""
        return Path(self._order.log)

    def records(self) -> list[Record]:
        """All operations of this life so far."""
        return list(read_log(self.log))

    def now(self) -> int:
        """This moment, as a length of the log: whatever returned before it is before it."""
        return self.log.stat().st_size

    def become(self, image: Path | None) -> None:
        """A power cut: from the next request on the disk holds what a directory holds.

        Args:
            image: the directory; ``None``: nothing. Processes that had files open must be dead.
        """
        number = self._order.generation + 1
        first = first_number(number)
        self.base = Tree(first) if image is None else Tree.load(image, first)
        log = self._work / f"log-{number}"
        log.touch()
        self._tell(Order(number, str(image or ""), str(log), self._order.faults))

    def fault(self, faults: Faults) -> None:
        """What is wrong with it from the next request on."""
        self._tell(Order(self._order.generation, self._order.image, self._order.log, faults))

    def start(self) -> None:
        """Mount it.

        Raises:
            DiskFailed: it cannot be mounted.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.disk", self.mount, self._control],
            cwd=REPOSITORY, stdout=subprocess.PIPE, start_new_session=True,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], READY_LIMIT_S)
        if not ready or self._process.stdout.readline() != b"ready\n":
            self.end()
            raise DiskFailed(f"no disk at {self.mount}")

    def end(self) -> None:
        """Unmount it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    @property
    def _control(self) -> Path:
        return self._work / "control"

    def _tell(self, order: Order) -> None:
        fresh = self._work / "control.new"
        fresh.write_text(order.text())
        fresh.replace(self._control)
        self._order = order


@contextmanager
def mounted(mount: Path | None = None, image: Path | None = None) -> Iterator[Disk]:
    """A disk that is unmounted and forgotten at the end.

    Args:
        mount: an existing, empty directory; ``None``: a temporary one.
        image: directory with what it holds at first; ``None``: nothing.
    """
    with tempfile.TemporaryDirectory(prefix="thermal-disk-", dir=memory_directory()) as work:
        place = mount or Path(work) / "mount"
        place.mkdir(exist_ok=True)
        disk = Disk(place, Path(work), image)
        disk.start()
        try:
            yield disk
        finally:
            disk.end()
