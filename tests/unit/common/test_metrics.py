"""The scrape, the two health pages, and who may listen where."""

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from common.errors import Unavailable
from common.metrics import (
    Counter,
    MetricsServer,
    inherited_socket,
    new_registry,
    start_at_zero,
)


class Ready:
    """What the service says of itself."""

    value = True


@pytest.fixture
def ready() -> Ready:
    """A service that is ready until the test says otherwise."""
    return Ready()


@pytest.fixture
def server(ready: Ready) -> Iterator[MetricsServer]:
    """A server on a free port."""
    registry = new_registry("1.2.3", "Küche")
    rows = Counter("thermal_rows", "Rows.", ("reason",), registry=registry)
    start_at_zero(rows, [("full",), ("thinned",)])
    passed = socket.create_server(("127.0.0.1", 0))
    found = MetricsServer(registry, "127.0.0.1", 0, ready=lambda: ready.value, passed=passed)
    found.start()
    yield found
    found.stop()


def ask(server: MetricsServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_a_scrape_shows_what_is_known_from_the_start(server: MetricsServer) -> None:
    """Series exist with 0 before anything happened, so absence means "not running"."""
    status, body = ask(server, "/metrics")
    assert status == 200
    assert 'thermal_rows_total{reason="full"} 0.0' in body
    assert 'thermal_rows_total{reason="thinned"} 0.0' in body
    assert "thermal_build_info{" in body
    assert 'version="1.2.3"' in body
    assert "process_resident_memory_bytes" in body
    assert "_created" not in body


def test_prometheus_may_ask_for_open_metrics(server: MetricsServer) -> None:
    """The format follows Accept; OpenMetrics ends with # EOF."""
    accept = "application/openmetrics-text;version=1.0.0"
    status, body = ask(server, "/metrics", Accept=accept)
    assert (status, body.endswith("# EOF\n")) == (200, True)


def test_healthy_and_ready_are_different_questions(server: MetricsServer, ready: Ready) -> None:
    """Alive is not the same as fresh."""
    assert ask(server, "/-/healthy") == (200, "healthy\n")
    assert ask(server, "/-/ready") == (200, "ready\n")
    ready.value = False
    assert ask(server, "/-/ready") == (503, "not ready\n")
    assert ask(server, "/-/healthy")[0] == 200


def test_nothing_else_is_served(server: MetricsServer) -> None:
    """Unknown paths and methods are refused; HEAD has no body."""
    assert ask(server, "/")[0] == 404
    assert ask(server, "/../etc/passwd")[0] == 404
    assert ask(server, "/metrics", "POST")[0] == 501
    assert ask(server, "/metrics?x=1", "HEAD") == (200, "")


def test_a_client_that_says_nothing_does_not_block_the_scrape(server: MetricsServer) -> None:
    """Idle connections take at most 8 places, and other requests are still answered."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(7)]
    assert ask(server, "/metrics")[0] == 200
    for connection in idle:
        connection.close()


def test_one_connection_too_many_is_closed(server: MetricsServer) -> None:
    """A flood costs eight threads, no more, and ends when the flood ends."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    idle[-1].settimeout(10)
    assert idle[-1].recv(1) == b""
    assert threading.active_count() < 20
    for connection in idle:
        connection.close()


def test_a_taken_port_is_named(server: MetricsServer) -> None:
    """Two services on one port: the second is told which, and what to do."""
    second = MetricsServer(new_registry("1"), "127.0.0.1", server.port)
    with pytest.raises(Unavailable, match=f"listen on 127.0.0.1 port {server.port}") as caught:
        second.start()
    assert "metrics_port" in str(caught.value.hint)


def test_port_0_means_none() -> None:
    """An operator can do without metrics."""
    server = MetricsServer(new_registry("1"), "127.0.0.1", 0)
    server.start()
    assert server.port == 0
    server.stop()


def test_ipv6_addresses_work() -> None:
    """The address decides the family."""
    try:
        passed = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    port = passed.getsockname()[1]
    passed.close()
    server = MetricsServer(new_registry("1"), "::1", port)
    server.start()
    with socket.create_connection(("::1", port)) as connection:
        assert connection.getpeername()[1] == port
    server.stop()


_ACTIVATED = """\
import os, socket, sys
from common.metrics import inherited_socket
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[1]))
first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
ports = [first.getsockname()[1], second.getsockname()[1]]
for fd, sock in ((13, first), (14, second)):
    os.dup2(sock.fileno(), fd)
os.dup2(13, 3); os.dup2(14, 4)
found = inherited_socket()
answer = "none" if found is None else str(ports.index(found.getsockname()[1]))
print(answer, os.environ.get("LISTEN_FDS"), found is not None and found.get_inheritable())
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("offset", "fds", "names", "answer"),
    [
        ("0", "1", "", "0 None False"),
        ("0", "2", "other:metrics", "1 None False"),
        ("0", "2", "a:b", "0 None False"),
        ("1", "1", "", "none 1 False"),
        ("0", "0", "", "none None False"),
        ("0", "x", "", "none None False"),
    ],
)
def test_a_socket_passed_by_systemd_is_taken(
    offset: str, fds: str, names: str, answer: str
) -> None:
    """The one named "metrics", else the first; never one that was meant for another process."""
    done = subprocess.run(
        [sys.executable, "-c", _ACTIVATED, offset],
        env={**os.environ, "LISTEN_FDS": fds, "LISTEN_FDNAMES": names},
        capture_output=True, text=True, check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")


def test_without_systemd_no_socket_is_passed() -> None:
    """A service started by hand binds for itself."""
    assert inherited_socket() is None


def test_stopping_frees_the_port(server: MetricsServer) -> None:
    """A restart within one process finds its port free."""
    port = server.port
    server.stop()
    again = MetricsServer(new_registry("1"), "127.0.0.1", port)
    again.start()
    assert ask(again, "/-/healthy")[0] == 200
    again.stop()
