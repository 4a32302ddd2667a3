"""What systemd is told about a service: ready, status, still making progress, stopping.

See sd_notify(3). Outside systemd, where ``NOTIFY_SOCKET`` is not set, nothing happens.
"""

import os
import socket
from typing import Protocol

from common.clock import Clock, SystemClock
from common.redaction import SECRETS


class _Sender(Protocol):
    socket: "socket.socket | None"

    def notify(self, state: str) -> None: ...


class Notifier:
    """Talks to systemd through sdnotify.

    Args:
        clock: times the watchdog pings; ``None``: the machine's clock.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._sender = _connect()
        self._status = ""
        self._pinged_s: float | None = None
        self.watchdog_interval_s = _watchdog_interval_s()
        """Least time between two pings: a third of what systemd allows; ``None``: no watchdog."""

    def ready(self) -> None:
        """Start-up is complete: config valid, spool open, first probe attempted."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Tell a human, in ``systemctl status``, what the service does; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + SECRETS.clean(text).replace("\n", " "))

    def watchdog(self) -> None:
        """The service made progress; call it as often as it does, never from a timer."""
        if self.watchdog_interval_s is None:
            return
        now_s = self._clock.monotonic_s()
        if self._pinged_s is None or now_s - self._pinged_s >= self.watchdog_interval_s:
            self._pinged_s = now_s
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Let go of the socket; later calls do nothing."""
        if self._sender is not None and self._sender.socket is not None:
            self._sender.socket.close()
        self._sender = None

    def _send(self, state: str) -> None:
        if self._sender is not None:
            # sdnotify writes latin-1; systemd reads UTF-8. So the characters given to it are bytes.
            self._sender.notify(state.encode().decode("latin-1"))


def _connect() -> _Sender | None:
    if not os.environ.get("NOTIFY_SOCKET"):
        return None
    import sdnotify

    sender: _Sender = sdnotify.SystemdNotifier()
    return sender


def _watchdog_interval_s() -> float | None:
    """A third of ``WATCHDOG_USEC``, if systemd means this process (``WATCHDOG_PID``)."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not usec.isdigit() or int(usec) == 0 or pid != str(os.getpid()):
        return None
    return int(usec) / 3e6
