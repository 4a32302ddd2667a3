"""The programs of a run: started, killed, restarted as systemd would, scraped, and always ended."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.demo.rows import Run

RESTART_S: Final = 0.3
"""Pause before a dead service is started again; its units say a second or more."""

SCRAPE_TIMEOUT_S: Final = 0.5
"""Longest wait for /metrics; a service that was just started does not answer yet."""


_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


def _end_with_parent() -> None:
    """Ask the kernel for SIGKILL when the process that starts us is gone; see prctl(2).

    A test that ran into its time limit, or a demo that was killed, can clean up nothing itself.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def boottime_ns() -> int:
    """Nanoseconds since boot, the clock that the rows carry."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def scrape(port: int, timeout_s: float = SCRAPE_TIMEOUT_S) -> dict[str, float]:
    """The samples of a /metrics page by name and labels; empty when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    pairs = (line.rsplit(" ", 1) for line in page.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, value in pairs}


class Program:
    """A child process with its output in a file.

    It gets a session of its own: Ctrl-C on the terminal reaches only the demo, which then ends its
    children in order.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, or ``None`` while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def status(self) -> int | None:
        """Exit status of the last life (negative: a signal), ``None`` while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Begin a new life."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=self._environment, start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - makes one system call, no more
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, limit_s: float) -> int | None:
        """Exit status, or ``None`` when it still runs after the limit."""
        if self._process is None:
            return None
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self, limit_s: float = 5.0) -> int | None:
        """SIGTERM, and SIGKILL when that is not enough in time. Returns the exit status."""
        self.signal(signal.SIGTERM)
        status = self.wait(limit_s)
        if status is None:
            self.signal(signal.SIGKILL)
            status = self.wait(5.0)
        return status

    def tail(self, lines: int = 5) -> str:
        """The last lines that it wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass(slots=True)
class Service:
    """One of the two services, kept alive as systemd keeps it.

    Attributes:
        program: its process.
        metrics_port: where it serves /metrics.
        kills: SIGKILLs that we sent.
        runs: its finished lives, with the last tick count seen (0 for the shipper).
        surprises: exit statuses of lives that ended without our doing.
    """

    program: Program
    metrics_port: int
    kills: int = 0
    runs: list[Run] = field(default_factory=list)
    surprises: list[int] = field(default_factory=list)
    _start_ns: int = 0
    _ticks: int = 0
    _again_s: float | None = None

    @property
    def ticks(self) -> int:
        """Ticks seen over all lives, the running one included; 0 for the shipper."""
        running = self._ticks if self._again_s is None else 0
        return sum(run.ticks for run in self.runs) + running

    def start(self) -> None:
        """Begin a new life."""
        self._start_ns, self._ticks, self._again_s = boottime_ns(), 0, None
        self.program.start()

    def scrape(self) -> dict[str, float]:
        """Its metrics now; remembers the tick counter for the reconciliation."""
        page = scrape(self.metrics_port) if self.program.pid else {}
        self._ticks = max(self._ticks, int(page.get("thermal_collector_ticks_total", 0)))
        return page

    def kill(self) -> bool:
        """SIGKILL after a last scrape. Returns whether there was a process to kill."""
        self.scrape()
        if self.program.pid is None:
            return False
        self.program.signal(signal.SIGKILL)
        self.program.wait(5.0)
        self.kills += 1
        self._finish()
        return True

    def stop(self, limit_s: float = 15.0) -> int | None:
        """SIGTERM after a last scrape. Returns the exit status."""
        if self.program.pid is None:
            return self.program.status
        self.scrape()
        status = self.program.end(limit_s)
        self._finish()
        return status

    def tend(self) -> None:
        """Restart it when it is dead and its pause is over; note a death that was not ours."""
        if self.program.pid is not None:
            return
        if self._again_s is None:
            status = self.program.status
            self.surprises.append(-1 if status is None else status)
            self._finish()
        elif time.monotonic() >= self._again_s:
            self.start()

    def stand_up(self, limit_s: float = 10.0) -> bool:
        """Restart it if need be and wait until it serves its metrics; whether it does in time."""
        end_s = time.monotonic() + limit_s
        while not self.scrape():
            if time.monotonic() > end_s:
                return False
            self.tend()
            time.sleep(0.05)
        return True

    def _finish(self) -> None:
        """Close the book of this life and plan the next."""
        self.runs.append(Run(self._start_ns, boottime_ns(), self._ticks))
        self._again_s = time.monotonic() + RESTART_S
