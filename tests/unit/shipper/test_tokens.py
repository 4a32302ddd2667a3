"""Scoped tokens: read, never assumed, renewed in time, and done without where there are none."""

import base64
import json
from typing import Any

import pytest

from shipper.auth.errors import SignInFailed
from shipper.auth.secret import HIDDEN, Secret
from shipper.auth.server_time import ServerTime
from shipper.auth.tokens import Bearer, ScopedTokens, read_times, read_token
from shipper.protocol.replies import HttpReply
from tests.emulators.clock import ManualClock

HOST = "a.ingest.snowflakecomputing.com"


def hide(secret: str, /, *, slot: str = "") -> None:
    """A log that is not there."""


def jwt(**claims: Any) -> str:
    """A token whose payload can be read; nobody checks its signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)]
    return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts) + ".c2ln"


class FakeCredential:
    """A key pair that is never refused."""

    kind = "jwt"

    def bearer(self) -> Bearer:
        """See ``Credential``."""
        return Bearer(Secret("signed"), "KEYPAIR_JWT")

    def grant(self, scope: str) -> tuple[tuple[str, str], ...]:
        """See ``Credential``."""
        return (("grant_type", "urn:x:jwt-bearer"), ("scope", scope))

    def forget(self) -> None:
        """See ``Credential``."""

    def mistimed(self) -> bool:
        """See ``Credential``."""
        return False

    def expires_s(self) -> float | None:
        """See ``Credential``."""
        return None


class FakeServer:
    """Answers token exchanges with what the test puts into ``reply``, or a fresh token."""

    def __init__(self, clock: ManualClock, life_s: float) -> None:
        self.clock = clock
        self.life_s = life_s
        self.forms: list[bytes] = []
        self.reply: HttpReply | None = None

    def __call__(self, form: bytes, bearer: Bearer) -> HttpReply:
        """See ``Exchange``."""
        self.forms.append(form)
        now_s = self.clock.realtime_ns() / 1e9
        token = jwt(iat=now_s, exp=now_s + self.life_s, n=len(self.forms))
        return self.reply or HttpReply(200, {}, token.encode())


def make(life_s: float) -> tuple[ScopedTokens, FakeServer, ManualClock]:
    """Scoped tokens from a fake server."""
    clock = ManualClock()
    server = FakeServer(clock, life_s)
    return ScopedTokens(FakeCredential(), server, ServerTime(clock), clock, hide), server, clock


@pytest.mark.parametrize(("life_s", "renewed_s"), [(3600, 3300), (600, 480), (10, 8)])
def test_a_token_is_kept_until_shortly_before_its_exp(life_s: float, renewed_s: float) -> None:
    """Whatever life the server gives it: five minutes before, or a fifth of a short life."""
    tokens, server, clock = make(life_s)
    first = tokens.bearer(HOST)
    clock.advance(renewed_s - 1)
    assert tokens.bearer(HOST) == first
    clock.advance(1)
    assert tokens.bearer(HOST) != first
    assert len(server.forms) == 2


def test_a_token_without_exp_is_kept_until_it_is_refused() -> None:
    """Nothing is assumed about its life."""
    tokens, server, clock = make(0)
    server.reply = HttpReply(200, {}, b"opaque")
    tokens.bearer(HOST)
    clock.advance(86_400)
    tokens.bearer(HOST)
    assert len(server.forms) == 1
    tokens.reset()
    tokens.bearer(HOST)
    assert (len(server.forms), tokens.expires_s()) == (2, None)


def test_a_token_that_is_born_expired_is_asked_for_each_time_without_error() -> None:
    """A server with a broken clock costs requests, not the service."""
    tokens, server, _ = make(-5)
    for _ in range(3):
        assert tokens.bearer(HOST).type == "OAUTH"
    assert len(server.forms) == 3


def test_another_ingest_host_needs_another_token() -> None:
    """The scope is the host; the form is percent-encoded."""
    tokens, server, _ = make(3600)
    tokens.bearer(HOST)
    tokens.bearer("b.ingest.example")
    assert server.forms[0] == f"grant_type=urn%3Ax%3Ajwt-bearer&scope={HOST}".encode()
    assert len(server.forms) == 2


@pytest.mark.parametrize("status", [404, 405])
def test_without_an_exchange_the_credential_itself_goes_along(status: int) -> None:
    """Asked once only, until a reset."""
    tokens, server, _ = make(3600)
    server.reply = HttpReply(status, {}, b"{}")
    assert [tokens.bearer(HOST).type for _ in range(3)] == ["KEYPAIR_JWT"] * 3
    assert len(server.forms) == 1
    server.reply = None
    tokens.reset()
    assert tokens.bearer(HOST).type == "OAUTH"


@pytest.mark.parametrize(
    ("reply", "refused", "remedy"),
    [
        (HttpReply(401, {}, b'{"code":"390144","message":"JWT token is invalid. '
                   b'[0ce9eb56-821d-4ca9-a774-04ae89a0cf5a]"}'), True,
         "SYSTEM$GET_LOGIN_FAILURE_DETAILS('0ce9eb56-821d-4ca9-a774-04ae89a0cf5a')"),
        (HttpReply(401, {}, b'{"error_code":"PAT_INVALID"}'), True, "PROGRAMMATIC ACCESS TOKEN"),
        (HttpReply(403, {}, b""), True, "thermal-shipper pubkey"),
        (HttpReply(503, {}, b"<html>busy</html>"), False, "try again later"),
        (HttpReply(200, {}, b"<html>Sign in</html>"), False, "try again later"),
        (HttpReply(200, {}, b""), False, "try again later"),
    ],
)
def test_a_failed_exchange_says_what_to_do(reply: HttpReply, refused: bool, remedy: str) -> None:
    """Refused by the server, or merely unwell: a different matter for a person."""
    tokens, server, _ = make(3600)
    server.reply = reply
    with pytest.raises(SignInFailed) as caught:
        tokens.bearer(HOST)
    assert caught.value.refused is refused
    assert remedy in caught.value.remedy
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b"a.b.c\n", "a.b.c"), (b'{"token":"a.b.c"}', "a.b.c"), (b'"a.b.c"', "a.b.c"),
        (b"", None), (b"{}", None), (b'{"token":null}', None), (b'{"token"', None),
        (b"<html>", None), (b"two words", None), ("é".encode(), None), (b"a\r\nInjected: x", None),
        (b"z" * 20_000, None),
    ],
)
def test_the_token_is_found_in_either_form(body: bytes, token: str | None) -> None:
    """Bare text from live servers, JSON from the documentation; nothing that breaks a header."""
    assert read_token(body) == token


@pytest.mark.parametrize(
    ("token", "times"),
    [
        (jwt(iat=100, exp=3700), (100.0, 3700.0)),
        (jwt(exp=1_792_000_000_000), (None, 1_792_000_000.0)),
        (jwt(iat=True, exp="soon"), (None, None)),
        ("a.b", (None, None)), ("a.!!!.c", (None, None)), ("a.W10.c", (None, None)),
    ],
)
def test_times_are_read_from_the_token(
    token: str, times: tuple[float | None, float | None]
) -> None:
    """Seconds or milliseconds; nonsense is as good as nothing."""
    assert read_times(token) == times


def test_a_secret_shows_itself_to_nobody() -> None:
    """Not in repr, str, format, dataclass reprs or pickles."""
    import pickle

    secret = Secret("planted")
    shown = f"{secret} {secret!r} {secret!s} {secret:>9} {Bearer(secret, 'OAUTH')}"
    assert "planted" not in shown
    assert HIDDEN in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret("planted")
    assert secret != Secret("other")
