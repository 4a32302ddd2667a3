"""One HTTPS call against servers that misbehave: is it certain, afterwards, what was applied?"""

import gzip
import os
import ssl
import threading
import time
from pathlib import Path

import pytest

from common.clock import SystemClock
from shipper import sockets
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.wire import ANSWER_BYTES_MAX, Wire
from tests.emulators.certificates import Authority
from tests.emulators.scripted import (
    Script,
    answer,
    drip,
    reply,
    reset,
    serving,
    silence,
    wait_until,
)
from tests.unit.shipper.wires import OK, post


def fails(wire: Wire, context: ssl.SSLContext, script: Script, deadline_s: float = 5.0) -> str:
    """The kind of the unknown outcome that a script leads to."""
    with serving(context, script) as server, pytest.raises(OutcomeUnknown) as caught:
        post(wire, f"{server.url}/rows", deadline_s=deadline_s)
    return caught.value.kind


def test_an_answer_comes_back_as_it_is(wire: Wire, context: ssl.SSLContext) -> None:
    """Status, lower-case headers and body arrive, whatever the status is."""
    with serving(context, answer(reply("503 Busy", b"later", "Retry-After: 7"))) as server:
        got = post(wire, f"{server.url}/rows?requestId=1")
    assert (got.status, got.headers["retry-after"], got.body) == (503, "7", b"later")


def test_the_request_on_the_wire_has_one_length_and_no_surprises(
    wire: Wire, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No cookie, proxy or netrc gets into a request, and its path is not encoded again."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login planted password planted\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    first = reply("200 OK", b"{}", "Set-Cookie: a=planted")
    with serving(context, answer(first)) as server:
        for _ in range(2):
            post(wire, f"{server.url}/pipes/A%2FB?endOffsetToken=v1%7Cab&x=%20")
        seen = [request.decode().lower() for request in server.requests]
    assert all("planted" not in request and "cookie" not in request for request in seen)
    assert seen[1].startswith("post /pipes/a%2fb?endoffsettoken=v1%7cab&x=%20 http/1.1")
    assert seen[1].count("content-length: 4") == 1


def test_one_connection_serves_many_calls(wire: Wire, context: ssl.SSLContext) -> None:
    """Connections are kept, so a batch costs no handshake."""
    with serving(context, answer(OK)) as server:
        for _ in range(5):
            post(wire, server.url + "/")
        assert (server.connections, len(server.requests)) == (1, 5)


def test_a_connection_closed_while_idle_is_replaced_before_sending(
    wire: Wire, context: ssl.SSLContext
) -> None:
    """A server that hung up between two calls costs no unknown outcome."""
    with serving(context, answer(OK, close=True)) as server:
        post(wire, server.url + "/")
        assert wait_until(lambda: server.connections == 1)
        time.sleep(0.1)
        assert post(wire, server.url + "/").status == 200
        assert server.connections == 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temp", "308 Perm"])
def test_a_redirect_is_not_followed_and_is_no_answer(
    wire: Wire, context: ssl.SSLContext, status: str
) -> None:
    """A captive portal's 302 must not turn a POST into a GET that answers 200."""
    with serving(context, answer(reply(status, b"", "Location: /login"))) as server:
        with pytest.raises(OutcomeUnknown) as caught:
            post(wire, server.url + "/rows")
        assert (caught.value.kind, len(server.requests)) == ("redirect", 1)


def test_a_captive_portal_page_keeps_its_body_for_the_protocol_to_refuse(
    wire: Wire, context: ssl.SSLContext
) -> None:
    """HTML with 200 is handed on as it came; the table of replies calls it no answer."""
    page = reply("200 OK", b"<html>Sign in</html>", "Content-Type: text/html")
    with serving(context, answer(page)) as server:
        got = post(wire, server.url + "/rows")
    assert got.headers["content-type"] == "text/html"
    assert got.body.startswith(b"<html>")


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_a_slow_drip_ends_at_the_deadline(
    wire: Wire, context: ssl.SSLContext, part: str
) -> None:
    """A byte every 0.1 s never trips a read timeout; the total deadline ends it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    scripts = {
        "head": drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 500, 0.1),
        "body": answer(head, *[b"z"] * 500, pause_s=0.1),
        "chunks": answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[b"1\r\nz\r\n"] * 500, pause_s=0.1,
        ),
    }
    start = time.monotonic()
    assert fails(wire, context, scripts[part], deadline_s=0.8) == "timeout"
    assert 0.7 < time.monotonic() - start < 1.6


def test_silence_ends_at_the_deadline(wire: Wire, context: ssl.SSLContext) -> None:
    """A server that took the request and says nothing leaves the outcome unknown."""
    assert fails(wire, context, silence, deadline_s=0.5) == "timeout"


def test_a_server_that_never_shakes_hands_was_sent_nothing(wire: Wire) -> None:
    """TCP accepted, TLS never answered: nothing of the request left."""
    start = time.monotonic()
    with serving(None, silence) as server, pytest.raises(NotSent) as caught:
        post(wire, server.url + "/rows", deadline_s=0.5)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - start < 1.5


def test_sending_to_a_server_that_does_not_read_ends_at_the_deadline(
    wire: Wire, context: ssl.SSLContext
) -> None:
    """A body that does not fit the other side's buffers is given up, outcome unknown."""
    def deaf(connection: ssl.SSLSocket, server: object) -> None:
        time.sleep(1.5)

    with serving(context, deaf) as server, pytest.raises(OutcomeUnknown) as caught:
        post(wire, server.url + "/rows", body=os.urandom(16 << 20), deadline_s=0.8)
    assert caught.value.kind == "timeout"


def test_a_stop_cuts_a_hanging_call_short(
    authority: Authority, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM does not wait for a minute's deadline."""
    monkeypatch.setattr(sockets, "STOP_GRACE_S", 0.5)
    stop = threading.Event()
    wire = Wire(SystemClock(stop), authority.ca_file)
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with serving(context, silence) as server, pytest.raises(OutcomeUnknown):
        post(wire, server.url + "/rows", deadline_s=60)
    assert time.monotonic() - start < 5
    wire.close()


def test_oversize_answers_are_cut_off(wire: Wire, context: ssl.SSLContext) -> None:
    """One byte beyond the cap is too many; the cap itself is fine."""
    fits = reply("200 OK", b"z" * ANSWER_BYTES_MAX)
    with serving(context, answer(fits)) as server:
        assert len(post(wire, server.url + "/").body) == ANSWER_BYTES_MAX
    longer = reply("200 OK", b"z" * (ANSWER_BYTES_MAX + 1))
    assert fails(wire, context, answer(longer)) == "oversize"


def test_a_gzip_answer_is_unpacked(wire: Wire, context: ssl.SSLContext) -> None:
    """The one encoding that is asked for."""
    packed = reply("200 OK", gzip.compress(b'{"a":1}'), "Content-Encoding: gzip")
    with serving(context, answer(packed)) as server:
        assert post(wire, server.url + "/").body == b'{"a":1}'


def test_a_gzip_bomb_is_cut_off(wire: Wire, context: ssl.SSLContext) -> None:
    """The cap counts what the body unpacks to."""
    bomb = reply("200 OK", gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip")
    assert fails(wire, context, answer(bomb)) == "oversize"


def test_endless_provisional_answers_are_cut_off(wire: Wire, context: ssl.SSLContext) -> None:
    """Bytes that belong to no body are counted too, long before the deadline."""
    script = answer(*[b"HTTP/1.1 100 Continue\r\n\r\n" * 4096] * 64)
    assert fails(wire, context, script, deadline_s=60) == "oversize"


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
        reply("200 OK", gzip.compress(b'{"token":"abc"}')[:-9], "Content-Encoding: gzip"),
        reply("200 OK", gzip.compress(b"{}") + b"{}", "Content-Encoding: gzip"),
        reply("200 OK", b"{}", "Content-Encoding: br"),
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["length", "chunk", "chunk mark", "gzip", "half gzip", "more than gzip", "brotli",
         "status line", "other protocol", "nothing"],
)
def test_an_answer_that_is_not_whole_leaves_the_outcome_unknown(
    wire: Wire, context: ssl.SSLContext, answered: bytes
) -> None:
    """Truncated, garbled or no answer at all: the request may have been applied."""
    assert fails(wire, context, answer(answered, close=True)) in {"truncated", "reset"}


def test_a_reset_after_the_request_leaves_the_outcome_unknown(
    wire: Wire, context: ssl.SSLContext
) -> None:
    """RST instead of an answer."""
    assert fails(wire, context, reset) == "reset"


def test_the_wire_works_after_every_failure(wire: Wire, context: ssl.SSLContext) -> None:
    """A failed call leaves nothing behind that the next one trips over."""
    half = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", close=True)
    with serving(context, reset, half, drip(OK, 0.2), answer(OK)) as server:
        for _ in range(3):
            with pytest.raises(OutcomeUnknown):
                post(wire, server.url + "/", deadline_s=0.5)
        assert post(wire, server.url + "/").status == 200
