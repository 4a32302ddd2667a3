"""A real shipper process against the server emulator, with a spool of the collector's own code."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from collector.spool.options import Limits, Means, Names, SpoolOptions
from collector.spool.store import SpoolStore, open_and_settle
from common.clock import SystemClock
from common.identity import Hardware
from tests.emulators.ingest.server import IngestServer
from tests.emulators.scripted import wait_until
from tests.tools.spools import prepare_quickly

ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Place:
    """The files of one device.

    Attributes:
        root: an empty directory.
        server: where rows go.
        secret: the access token that is planted.
    """

    root: Path
    server: IngestServer
    secret: str = "pat-planted-0123456789"
    board: str = "board-1"

    def __post_init__(self) -> None:
        (self.root / "run").mkdir()
        (self.root / "board").write_text(self.board)
        (self.root / "card").write_text("card-1")
        self.token_file.write_text(self.secret)
        self.token_file.chmod(0o600)
        self.config.write_text(self._toml())

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "thermal.toml"

    @property
    def token_file(self) -> Path:
        """The file with the access token."""
        return self.root / "snowflake.pat"

    def collector(self, *, hardware: Hardware | None = None) -> SpoolStore:
        """The collector's spool of this boot."""
        options = SpoolOptions(
            self.root / "spool", Names("pi-1", "pi", "0.1.0"),
            hardware or Hardware("board-1", "card-1"), Limits(64 << 20), self.root / "run",
        )
        return open_and_settle(options, SystemClock(), Means(prepare=prepare_quickly))

    def _toml(self) -> str:
        text: dict[str, dict[str, object]] = {
            "device": {"board_serial_file": f"{self.root}/board",
                       "card_serial_file": f"{self.root}/card"},
            "spool": {"directory": f"{self.root}/spool"},
            "shipper": {"metrics_port": 0, "interval_s": 0.2},
            "snowflake": {
                "account": "myorg-acc1", "user": "shipper", "database": "DB", "schema": "PUBLIC",
                "pipe": "THERMAL-STREAMING", "url": self.server.url,
                "ca_file": str(self.server.ca_file), "pat_file": str(self.token_file),
            },
        }
        return "\n".join(
            f"[{table}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())
            for table, keys in text.items()
        )


@dataclass(slots=True)
class Process:
    """A running shipper and what it says.

    Attributes:
        process: itself.
        lines: of its log so far.
        notices: what it told systemd so far.
        ready_s: seconds from its start to READY; ``None``: not yet.
    """

    process: "subprocess.Popen[str]"
    started_s: float
    lines: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    ready_s: float | None = None

    @property
    def status(self) -> str:
        """The last STATUS= line."""
        told = [n for n in self.notices if n.startswith("STATUS=")]
        return told[-1].removeprefix("STATUS=") if told else ""

    @property
    def log(self) -> str:
        """The whole log."""
        return "".join(self.lines)

    def ready(self, seconds: float = 20.0) -> bool:
        """Wait for READY=1."""
        return wait_until(lambda: self.ready_s is not None, seconds)

    def resident_mib(self) -> float:
        """Resident memory now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise LookupError("VmRSS")

    def stop(self, seconds: float = 20.0) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def shipper(place: Place, *words: str) -> Iterator[Process]:
    """A shipper that is surely gone afterwards."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = str(place.root / f"notify-{time.monotonic_ns()}")
        notify.bind(address)
        notify.settimeout(0.2)
        started_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "run", "--config", str(place.config), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": address, "PYTHONUNBUFFERED": "1"},
        )
        running = Process(process, started_s)
        threads = [
            threading.Thread(target=_read, args=(running,), daemon=True),
            threading.Thread(target=_hear, args=(running, notify), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for thread in threads:
                thread.join()
            assert process.stdout is not None
            process.stdout.close()


def _read(running: Process) -> None:
    assert running.process.stdout is not None
    for line in iter(running.process.stdout.readline, ""):
        running.lines.append(line)


def _hear(running: Process, notify: socket.socket) -> None:
    while running.process.poll() is None:
        try:
            told = notify.recv(65_536).decode()
        except TimeoutError:
            continue
        running.notices.append(told)
        if told == "READY=1":
            running.ready_s = time.monotonic() - running.started_s
