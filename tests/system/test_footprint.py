"""What the two services cost: time to READY, memory, and memory with a million rows waiting.

Times and rates are printed. The bounds that are asserted are those of a Raspberry Pi Zero 2 with
512 MiB, and wide against what is measured on any machine that tests run on.
"""

import os
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.bench import Options, World, world
from tests.demo.material import BOARD_SERIAL, CARD_SERIAL
from tests.demo.process import Service
from tests.system.support import needs_file_bus, python, until

STARTS = 5
SETTLE_S = 15.0
READY_S = {"collector": 1.0, "shipper": 1.5}
RSS_MIB = {"collector": 30.0, "shipper": 48.0}
BACKLOG_ROWS = 1_000_000
FLAT_MIB = 4.0
"""Memory may differ by this much between a small backlog and a large one: the allocator's."""

pytestmark = [pytest.mark.heavy, needs_file_bus]


@contextmanager
def notify_socket(path: Path) -> Iterator[socket.socket]:
    """What systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(20.0)
        yield listening


def ready_s(bench: World, service: Service, listening: socket.socket) -> float:
    """Seconds from exec to READY=1, then the service is stopped."""
    forget(listening)
    start_s = time.monotonic()
    service.start()
    while b"READY=1" not in listening.recv(4096):
        pass
    took_s = time.monotonic() - start_s
    assert service.stop() == 0, service.program.tail(20)
    return took_s


def forget(listening: socket.socket) -> None:
    """Read away what was said before."""
    listening.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            listening.recv(4096)
    listening.settimeout(20.0)


def rss_mib(service: Service) -> float:
    """Resident memory now, MiB."""
    status = Path(f"/proc/{service.program.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


@pytest.fixture
def bench() -> Iterator[World]:
    """A world with the demo's settings and a server that commits fast."""
    with world(Options(interval_s=0.2, commit_s=0.2)) as made:
        yield made


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["collector", "shipper"])
def test_time_to_ready(bench: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 comes soon after exec, also when the database file has to be made first."""
    path = bench.places.root / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    bench.assemble()
    service = bench.collector if name == "collector" else bench.shipper
    with notify_socket(path) as listening:
        bench.collector.start()
        until(lambda: bench.look().stored > 0)
        bench.collector.stop()
        took = [ready_s(bench, service, listening) for _ in range(STARTS)]
    print(f"{name}: READY after {[round(s, 2) for s in took]} s")
    assert statistics.median(took) < READY_S[name]


@pytest.mark.timeout(180)
def test_memory_while_rows_flow(bench: World) -> None:
    """Both stay below their bound once everything has been imported and used."""
    bench.start()
    until(lambda: bench.server.committed_count() >= 5)
    time.sleep(SETTLE_S)
    seen = {"collector": rss_mib(bench.collector), "shipper": rss_mib(bench.shipper)}
    print({name: f"{mib:.1f} MiB" for name, mib in seen.items()})
    for name, mib in seen.items():
        assert mib <= RSS_MIB[name], name


@dataclass(frozen=True, slots=True)
class Drained:
    """What draining a backlog took: wall time, the shipper's processor time, its peak memory."""

    took_s: float
    cpu_s: float
    peak_mib: float


def cpu_s(service: Service) -> float:
    """Processor time of its life so far, all threads, user and system."""
    fields = Path(f"/proc/{service.program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drain(rows: int) -> Drained:
    """Drain a spool filled with that many rows."""
    with world(Options(commit_s=0.2)) as bench:
        fill = python(
            "-m", "tests.tools.fill_spool", bench.places.spool, str(rows),
            "--board-serial", BOARD_SERIAL, "--card-serial", CARD_SERIAL, limit_s=300,
        )
        assert fill.returncode == 0, fill.stderr
        bench.assemble()
        bench.shipper.start()
        until(lambda: bench.server.committed_count() > 0, limit_s=60)
        start_s, peak = time.monotonic(), 0.0
        while (done := bench.server.committed_count()) < rows:
            assert bench.shipper.program.pid is not None, bench.shipper.program.tail(20)
            assert time.monotonic() - start_s < 600, f"only {done} rows"
            peak = max(peak, rss_mib(bench.shipper))
            time.sleep(0.25)
        return Drained(time.monotonic() - start_s, cpu_s(bench.shipper), peak)


@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_the_backlog() -> None:
    """Draining a million waiting rows takes no more memory than draining a hundredth of them."""
    small, large = drain(BACKLOG_ROWS // 100), drain(BACKLOG_ROWS)
    print(
        f"{BACKLOG_ROWS} rows in {large.took_s:.0f} s beside the server on {os.cpu_count()} cores: "
        f"{BACKLOG_ROWS / large.took_s * 60:,.0f} rows/min, or "
        f"{BACKLOG_ROWS / large.cpu_s * 60:,.0f} a minute of the shipper's own processor time; "
        f"peak {large.peak_mib:.1f} MiB, {small.peak_mib:.1f} MiB with a hundredth of the rows"
    )
    assert large.peak_mib <= RSS_MIB["shipper"]
    assert large.peak_mib - small.peak_mib <= FLAT_MIB
