"""Metrics for Prometheus: the only file that imports prometheus_client.

The services declare their counters with the classes re-exported here and serve them with
``MetricsServer``. ``GET /metrics`` is the scrape, ``/-/healthy`` answers while the process lives,
``/-/ready`` answers 200 while the service says that its data is fresh.

prometheus_client costs about 14 MiB and 40 ms (measured on CPython 3.11), so one-shot commands do
not import this module.
"""

import contextlib
import os
import platform
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from common.errors import Unavailable

__all__ = [
    "CollectorRegistry",
    "Counter",
    "Gauge",
    "Histogram",
    "MetricsServer",
    "inherited_socket",
    "new_registry",
    "start_at_zero",
]

_FIRST_PASSED_FD: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

_CONNECTIONS_MAX: Final = 8
_CLIENT_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.5
"""How often the server looks whether it shall stop; a scrape wakes it at once."""


class _Labelled(Protocol):
    def labels(self, *values: str) -> Any: ...


def new_registry(version: str, site: str = "") -> CollectorRegistry:
    """A registry with the process metrics and ``thermal_build_info``.

    Args:
        version: version of the product.
        site: ``[device] site``; empty when not told.
    """
    # "_created" series double the scrape, and their times are wrong on a Pi that boots without a
    # clock.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    info = Gauge(
        "thermal_build_info",
        "Always 1; the labels tell what runs.",
        ("version", "python_version", "site"),
        registry=registry,
    )
    info.labels(version, platform.python_version(), site).set(1)
    return registry


def start_at_zero(metric: _Labelled, label_values: Iterable[tuple[str, ...]]) -> None:
    """Make these series exist from the start, so that absence means "not running".

    Args:
        metric: a metric with labels.
        label_values: for each series, the values of its labels in the order of their declaration.
    """
    for values in label_values:
        metric.labels(*values)


class MetricsServer:
    """Answers scrapes on threads of its own, at most 8 at a time.

    Args:
        registry: what to serve.
        address: IP address to listen on.
        port: TCP port; 0: do not listen.
        ready: whether ``/-/ready`` says yes; called on the server's threads.
        passed: a listening socket to use instead of ``address`` and ``port``; ``None``: the one
            that systemd passed, if any.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        address: str,
        port: int,
        *,
        ready: Callable[[], bool] = lambda: True,
        passed: socket.socket | None = None,
    ) -> None:
        self.port = port
        """The port that is listened on; 0: none."""
        self._registry = registry
        self._address = address
        self._ready = ready
        self._passed = passed if passed is not None else inherited_socket()
        self._server: _Server | None = None

    def start(self) -> None:
        """Begin to answer; nothing happens when there is neither a port nor a passed socket.

        Raises:
            Unavailable: the address or port cannot be had. A service should say so and go on:
                measuring and shipping matter more than being scraped.
        """
        if self._passed is None and self.port == 0:
            return
        listening = self._passed if self._passed is not None else self._listen()
        self.port = listening.getsockname()[1] if listening.family != socket.AF_UNIX else 0
        self._server = _Server(listening, self._registry, self._ready)
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop answering and close the socket; nothing happens when it was not started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        try:
            return socket.create_server((self._address, self.port), family=family, backlog=16)
        except OSError as error:
            raise Unavailable(
                f"metrics: cannot listen on {self._address} port {self.port}: {error.strerror}",
                hint="set metrics_address and metrics_port to a free port of this machine; "
                "0 means no metrics",
            ) from error


def inherited_socket() -> socket.socket | None:
    """The listening socket that systemd passed, see sd_listen_fds(3); ``None``: there is none.

    With several sockets the one named "metrics" (``FileDescriptorName=``) is taken, else the first.
    The variables are removed, so that no child believes that it was meant.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
    if not count.isdigit() or int(count) == 0:
        return None
    index = names.index("metrics") if "metrics" in names[: int(count)] else 0
    try:
        passed = socket.socket(fileno=_FIRST_PASSED_FD + index)
    except OSError:
        return None
    passed.set_inheritable(False)
    return passed


class _Server(ThreadingHTTPServer):
    """The listening socket and a bounded number of threads."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        listening: socket.socket,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
    ) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.registry = registry
        self.ready = ready
        self._slots = threading.BoundedSemaphore(_CONNECTIONS_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection on a thread; one too many is closed at once."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or sends nonsense is not worth a line in the log."""


class _Handler(BaseHTTPRequestHandler):
    """One request, one answer."""

    server: _Server
    timeout = _CLIENT_TIMEOUT_S
    server_version = "thermal"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer the three paths; anything else is 404."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, encode(self.server.registry), content_type)
        elif path == "/-/healthy":
            self._answer(HTTPStatus.OK, b"healthy\n")
        elif path == "/-/ready":
            ready = self.server.ready()
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, b"ready\n" if ready else b"not ready\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"try /metrics, /-/healthy or /-/ready\n")

    do_HEAD = do_GET  # noqa: N815 - the name is given by http.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """A scrape is not an event."""

    def _answer(
        self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
