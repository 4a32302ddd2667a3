"""What systemd is told, on a socket that stands in for its own."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.notify import Notifier


class Systemd:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def said(self) -> list[str]:
        """The messages since the last call."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4_096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class MovedClock:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        return self.now_s


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """A manager that listens where NOTIFY_SOCKET points."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    manager = Systemd(str(tmp_path / "notify"))
    yield manager
    manager.close()


def test_life_of_a_service_is_told(systemd: Systemd) -> None:
    """Ready, status and stopping arrive as sd_notify(3) wants them, in UTF-8."""
    notifier = Notifier()
    notifier.ready()
    notifier.status("sampling 3 sensors, 21 °C … ok")
    notifier.stopping()
    notifier.close()
    assert systemd.said() == [
        "READY=1",
        "STATUS=sampling 3 sensors, 21 °C … ok",
        "STOPPING=1",
    ]


def test_a_status_is_sent_when_it_changes(systemd: Systemd) -> None:
    """The loop may say its status every time round; line ends cannot smuggle in a message."""
    notifier = Notifier()
    for text in ("a", "a", "b\nREADY=1", "b\nREADY=1"):
        notifier.status(text)
    notifier.close()
    assert systemd.said() == ["STATUS=a", "STATUS=b READY=1"]


def test_watchdog_pings_are_limited_to_a_third(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast the loop runs, three pings fit into what systemd allows."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    clock = MovedClock()
    notifier = Notifier(clock)  # type: ignore[arg-type] # only monotonic_s is used
    assert notifier.watchdog_interval_s == 10.0
    for _ in range(600):
        notifier.watchdog()
        clock.now_s += 0.1
    notifier.close()
    assert systemd.said() == ["WATCHDOG=1"] * 6


@pytest.mark.parametrize("pid", ["1", ""])
def test_a_watchdog_that_means_another_process_is_not_pinged(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, pid: str
) -> None:
    """WATCHDOG_PID tells who is watched; ours is the control."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", pid)
    other = Notifier()
    other.watchdog()
    other.close()
    assert systemd.said() == []
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    ours = Notifier()
    ours.watchdog()
    ours.close()
    assert systemd.said() == ["WATCHDOG=1"]


def test_abstract_sockets_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd in containers uses "@" addresses."""
    name = f"thermal-test-{os.getpid()}"
    manager = Systemd("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    notifier = Notifier()
    notifier.ready()
    notifier.close()
    assert manager.said() == ["READY=1"]
    manager.close()


def test_outside_systemd_nothing_happens() -> None:
    """A service started by hand says nothing to nobody, and needs no sdnotify."""
    notifier = Notifier()
    notifier.ready()
    notifier.status("x")
    notifier.watchdog()
    notifier.close()
    assert notifier.watchdog_interval_s is None


def test_a_manager_that_is_gone_is_no_error(systemd: Systemd) -> None:
    """A closed notification socket must not end the service."""
    notifier = Notifier()
    systemd.close()
    notifier.status("still here")
    notifier.close()
    notifier.status("and here")
    assert notifier.watchdog_interval_s is None
