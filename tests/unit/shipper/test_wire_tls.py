"""Names, addresses and certificates: what is wrong before the first byte was surely not sent."""

import socket
import ssl
import threading
import time
import warnings
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import ConfigError
from shipper.protocol.errors import NotSent
from shipper.sockets import Deadline, Resolver, make_context
from shipper.wire import Wire
from tests.emulators.certificates import Authority
from tests.emulators.scripted import answer, serving
from tests.unit.shipper.wires import OK, post


def test_a_refused_connection_was_sent_nothing(wire: Wire) -> None:
    """Nobody listens: surely not applied."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent) as caught:
        post(wire, f"https://127.0.0.1:{port}/")
    assert caught.value.kind == "refused"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"])
def test_an_unknown_name_was_sent_nothing(wire: Wire, host: str) -> None:
    """DNS failures, and names that cannot even be asked for, are their own kind."""
    with pytest.raises(NotSent) as caught:
        post(wire, f"https://{host}/")
    assert caught.value.kind == "dns"


def test_a_resolver_that_hangs_ends_at_the_deadline(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``getaddrinfo`` cannot be interrupted: it is waited for in a thread, and asked only once."""
    release = threading.Event()
    asked: list[str] = []

    def slow(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    start = time.monotonic()
    for _ in range(2):
        with pytest.raises(NotSent) as caught:
            post(wire, "https://slow.invalid/", deadline_s=0.3)
        assert caught.value.kind == "dns"
    release.set()
    assert time.monotonic() - start < 1.5
    assert asked == ["slow.invalid"]


def test_the_second_address_is_tried(
    context: ssl.SSLContext, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that refuses does not hide one that answers."""
    real = socket.getaddrinfo
    wire = Wire(SystemClock(), authority.ca_file)
    with serving(context, answer(OK)) as server:
        dead = real("127.0.0.2", server.port, type=socket.SOCK_STREAM)
        live = real("127.0.0.1", server.port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead + live)
        assert post(wire, f"https://localhost:{server.port}/").status == 200
    wire.close()


def test_a_foreign_authority_is_not_trusted(
    context: ssl.SSLContext, tmp_path: Path
) -> None:
    """A certificate of another authority: nothing is sent, and the reason is named."""
    wire = Wire(SystemClock(), Authority.make(tmp_path, "another").ca_file)
    with serving(context, answer(OK)) as server, pytest.raises(NotSent) as caught:
        post(wire, server.url + "/")
    assert (caught.value.kind, server.requests) == ("tls", [])
    assert "certificate" in str(caught.value)
    wire.close()


def test_a_certificate_for_another_host_is_not_trusted(wire: Wire, authority: Authority) -> None:
    """The right authority, the wrong name."""
    other = authority.server_context(("elsewhere.example",))
    with serving(other, answer(OK)) as server, pytest.raises(NotSent) as caught:
        post(wire, server.url + "/")
    assert (caught.value.kind, server.requests) == ("tls", [])
    assert "certificate" in str(caught.value)


def test_a_certificate_of_the_future_says_that_our_clock_is_wrong(
    wire: Wire, authority: Authority
) -> None:
    """Not yet valid is what a clock of 1970 makes of every certificate."""
    future = authority.server_context(valid_from_days=5)
    with serving(future, answer(OK)) as server, pytest.raises(NotSent) as caught:
        post(wire, server.url + "/")
    assert caught.value.kind == "clock"


def only_old(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, made to speak nothing newer than TLS 1.1."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_tls_1_1_is_refused(wire: Wire, authority: Authority) -> None:
    """A server that speaks nothing newer than TLS 1.1 gets nothing."""
    old = only_old(authority.server_context())
    with serving(old, answer(OK)) as server, pytest.raises(NotSent) as caught:
        post(wire, server.url + "/")
    assert (caught.value.kind, server.requests) == ("tls", [])


def test_tls_1_1_would_be_noticed(authority: Authority) -> None:
    """Negative control: a client that allows TLS 1.1 does connect to that server."""
    old = only_old(authority.server_context())
    lax = make_context(Deadline(SystemClock()), authority.ca_file)
    only_old(lax)
    lax.deadline.start(5)
    with serving(old, answer(OK)) as server:
        raw = socket.create_connection(("127.0.0.1", server.port))
        with lax.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            assert connection.version() == "TLSv1.1"


def test_plain_http_does_not_exist(wire: Wire) -> None:
    """An http address is a bug of the caller."""
    with pytest.raises(AssertionError):
        post(wire, "http://127.0.0.1/")


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_bad_file_of_authorities_is_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    """Missing, or no PEM: said at the start, with the file's name."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        Wire(SystemClock(), path)


def test_the_systems_authorities_are_the_default() -> None:
    """Without a file of our own, a server signed by nobody known is refused."""
    context = make_context(Deadline(SystemClock()), None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert Resolver().resolve("127.0.0.1", 443, 1.0)[0][4][0] == "127.0.0.1"
