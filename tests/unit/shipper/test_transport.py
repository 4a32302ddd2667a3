"""The transport against the server emulator: host, token, session and clock, and what fails how."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.clock import SystemClock
from common.settings import Settings, SnowflakeSettings
from shipper.endpoint import Endpoint, find_credential, find_endpoint, make_transport
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import Call, HttpRequest, Operation, channel_status, open_channel
from shipper.transport import HttpTransport
from shipper.wire import Outgoing
from tests.emulators.clock import ManualClock
from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IngestServer]:
    """An emulator that accepts only our key and one access token."""
    policy = Policy(public_key_pem=PUBLIC_PEM, access_token="pat-planted", max_skew_s=60)
    with IngestServer(ServerOptions(policy=policy, knobs=Knobs(commit_delay_s=0))) as running:
        yield running


class Seen:
    """Notes every call that the transport reports."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, operation: Operation, code: str, seconds: float) -> None:
        """See ``Observe``."""
        self.calls.append((operation.value, code))

    def clear(self) -> list[tuple[str, str]]:
        """What was noted since the last look."""
        calls, self.calls = self.calls, []
        return calls


def hide(secret: str, /, *, slot: str = "") -> None:
    """A log that is not there."""


def endpoint(server: IngestServer, tmp_path: Path, *, pat: str = "") -> Endpoint:
    """Settings for the emulator."""
    secret = tmp_path / "secret"
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    secret.write_bytes(pat.encode() or pem)
    secret.chmod(0o600)
    way: dict[str, Any] = {"pat_file" if pat else "private_key_file": secret}
    table = SnowflakeSettings(
        account="myorg-acc1", user="shipper", role="WRITER", database="DB", schema="PUBLIC",
        pipe="THERMAL-STREAMING", url=server.url, ca_file=server.ca_file, **way,
    )
    return find_endpoint(Settings(tmp_path / "thermal.toml", snowflake=table), hide)


@pytest.fixture
def made(server: IngestServer, tmp_path: Path) -> Iterator[tuple[HttpTransport, Seen, HttpRequest]]:
    """A transport with key-pair sign-in, its observer, and an open request to send."""
    where = endpoint(server, tmp_path)
    seen = Seen()
    transport = make_transport(where, *find_credential(where, SystemClock(), hide), seen)
    request = open_channel(where.target, "TH_1", Call("id-1"), fail_on_uncommitted=True)
    yield transport, seen, request
    transport.close()


def test_the_first_request_finds_host_and_token_the_second_has_them(
    made: tuple[HttpTransport, Seen, HttpRequest],
) -> None:
    """Discovery and exchange happen once; the reply comes back whole."""
    transport, seen, request = made
    assert transport.send(request, 5.0).status == 200
    assert seen.clear() == [("hostname", "200"), ("token", "200"), ("open", "200")]
    transport.send(request, 5.0)
    assert seen.clear() == [("open", "200")]
    assert set(transport.expiries()) == {"jwt", "scoped_token"}


def test_request_ids_are_the_requests_own_or_fresh(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer
) -> None:
    """The protocol's ids are passed on; the sign-in makes its own."""
    transport, _, request = made
    transport.send(request, 5.0)
    ids = {s.endpoint: (s.request_id, s.retry_count) for s in server.faults.requests}
    assert ids["open"] == ("id-1", "0")
    assert len(ids["token"][0]) == 36


def test_an_access_token_signs_in_too(server: IngestServer, tmp_path: Path) -> None:
    """By exchange; a wrong one is refused with its remedy, and found anew once mended."""
    where = endpoint(server, tmp_path, pat="pat-wrong")
    transport = make_transport(where, *find_credential(where, SystemClock(), hide), Seen())
    request = channel_status(where.target, "TH_1", Call("id"))
    with pytest.raises(NotSent, match="PAT_INVALID") as caught:
        transport.send(request, 5.0)
    assert caught.value.kind == "denied"
    assert "pat-wrong" not in str(caught.value)
    (tmp_path / "secret").write_text("pat-planted")
    assert transport.send(request, 5.0).status == 200
    transport.close()


def test_a_token_that_expires_mid_run_is_renewed_by_the_protocols_wish(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer
) -> None:
    """401 is handed to the protocol; after ``renew`` the same request goes through."""
    transport, seen, request = made
    transport.send(request, 5.0)
    with server.lock:
        server.service.gate.revoke()
    assert transport.send(request, 5.0).status == 401
    seen.clear()
    transport.renew()
    assert transport.send(request, 5.0).status == 200
    assert seen.clear() == [("token", "200"), ("open", "200")]


def test_a_short_lived_token_is_renewed_before_it_expires(
    server: IngestServer, tmp_path: Path
) -> None:
    """``exp`` is read: no request ever meets a 401."""
    with server.lock:
        server.service.gate.policy.token_lifetime_s = 10
    clock = ManualClock(realtime_ns=SystemClock().realtime_ns())
    where = endpoint(server, tmp_path)
    seen = Seen()
    transport = make_transport(where, *find_credential(where, clock, hide), seen)
    request = channel_status(where.target, "TH_1", Call("id"))
    for _ in range(3):
        assert transport.send(request, 5.0).status == 200
        clock.advance(9)
    assert seen.calls.count(("token", "200")) == 3
    transport.close()


@pytest.mark.parametrize("wrong_by_s", [-20 * 365 * 86_400, 86_400])
def test_a_wrong_clock_signs_in_at_the_second_attempt(
    server: IngestServer, tmp_path: Path, wrong_by_s: int
) -> None:
    """The refused answer's Date mends ``iat``; nobody has to set the clock first."""
    clock = ManualClock(realtime_ns=SystemClock().realtime_ns())
    clock.step(wrong_by_s)
    where = endpoint(server, tmp_path)
    seen = Seen()
    transport = make_transport(where, *find_credential(where, clock, hide), seen)
    assert transport.send(channel_status(where.target, "TH_1", Call("id")), 5.0).status == 200
    assert seen.calls[:2] == [("hostname", "401"), ("hostname", "200")]
    transport.close()


def test_without_an_exchange_the_signed_token_goes_along(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer
) -> None:
    """404 on ``/oauth/token``: the key-pair token is good for the ingest host too."""
    transport, seen, request = made
    server.faults.add("no_route:endpoint=token,times=0")
    assert [transport.send(request, 5.0).status for _ in range(2)] == [200, 200]
    assert seen.calls.count(("token", "404")) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("unavailable:endpoint=hostname", "no_host"),
        ("captive_portal:endpoint=hostname", "no_host"),
        ("redirect:endpoint=hostname", "redirect"),
        ("drop_reply:endpoint=hostname", "reset"),
        ("forbidden:endpoint=hostname", "denied"),
        ("unavailable:endpoint=token", "no_token"),
        ("captive_portal:endpoint=token", "no_token"),
        ("drop_reply:endpoint=token", "reset"),
        ("throttle:endpoint=token", "no_token"),
    ],
)
def test_a_failed_sign_in_is_certainly_not_sent(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer, fault: str, kind: str
) -> None:
    """Whatever befalls host or token, the rows stayed here; the next attempt works."""
    transport, seen, request = made
    server.faults.add(fault)
    with pytest.raises(NotSent) as caught:
        transport.send(request, 5.0)
    assert caught.value.kind == kind
    assert "open" not in {operation for operation, _ in seen.calls}
    assert transport.send(request, 5.0).status == 200


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("drop_reply:endpoint=open", "reset"),
        ("drop_request:endpoint=open", "reset"),
        ("truncate:endpoint=open", "truncated"),
        ("gzip_rubbish:endpoint=open", "truncated"),
        ("redirect:endpoint=open", "redirect"),
        ("drip:endpoint=open", "timeout"),
        ("delay_reply:endpoint=open,s=3", "timeout"),
    ],
)
def test_a_lost_reply_leaves_the_outcome_unknown(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer, fault: str, kind: str
) -> None:
    """The request itself left: only the server knows."""
    transport, _, request = made
    server.faults.add(fault)
    with pytest.raises(OutcomeUnknown) as caught:
        transport.send(request, 1.0)
    assert caught.value.kind in {kind, "reset"}
    assert transport.send(request, 5.0).status == 200


def test_rediscovery_asks_for_host_and_token_again(
    made: tuple[HttpTransport, Seen, HttpRequest], server: IngestServer
) -> None:
    """After 410, or when the host cannot be reached; the network's return is noticed."""
    transport, seen, request = made
    transport.send(request, 5.0)
    server.stop_accepting()
    with pytest.raises((NotSent, OutcomeUnknown)):
        transport.send(request, 5.0)
    transport.rediscover()
    with pytest.raises(NotSent) as caught:
        transport.send(request, 5.0)
    assert caught.value.kind == "refused"
    server.resume()
    seen.clear()
    assert transport.send(request, 5.0).status == 200
    assert [operation for operation, _ in seen.clear()] == ["hostname", "token", "open"]


def test_the_sticky_session_goes_back_with_appends_of_its_channel_only(
    made: tuple[HttpTransport, Seen, HttpRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the official SDK does: next append of the channel, forgotten when an answer lacks it."""
    transport, _, opening = made
    sent: list[str | None] = []
    answers = iter(["s1", "s2", None, "s4", "s5"])

    def exchange(outgoing: Outgoing) -> HttpReply:
        sent.append(dict(outgoing.headers).get("x-snowflake-session"))
        session = next(answers)
        return HttpReply(200, {} if session is None else {"x-snowflake-session": session})

    transport.sign_in()
    monkeypatch.setattr(transport._wire, "exchange", exchange)

    def request(channel: str) -> HttpRequest:
        path = f"/channels/{channel}/rows"
        return replace(opening, path=path, operation=Operation.APPEND)

    for wanted in (request("A"), request("A"), request("A"), request("A"), request("B")):
        transport.send(wanted, 1.0)
    assert sent == [None, "s1", "s2", None, None]
    answers = iter(["s6"])
    transport.send(opening, 1.0)
    assert sent[-1] is None
