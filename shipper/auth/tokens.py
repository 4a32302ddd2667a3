"""The token that each call carries: a scoped one by exchange where the server offers that.

``POST /oauth/token`` swaps the key-pair token or the programmatic access token for one that is good
for the ingest host only. Its life is read from ``exp``, never assumed: sources name 10 minutes, 50
minutes and an hour. Where the exchange does not exist (404, 405) the credential itself goes along,
which live servers take too (seen in the EMQX bridge and in clients that send the PAT).
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

from common.clock import Clock
from common.strict_json import read_json
from shipper.auth.errors import SignInFailed
from shipper.auth.secret import Hide, Secret
from shipper.auth.server_time import ServerTime
from shipper.protocol.replies import HttpReply

RENEW_BEFORE_S: Final = 300.0
RENEW_LIFE_SHARE: Final = 0.2
"""A token that lives shorter than 25 minutes is renewed when a fifth of its life is left."""
TOKEN_BYTES_MAX: Final = 16_384


@dataclass(frozen=True, slots=True)
class Bearer:
    """What goes into ``Authorization``, and into ``X-Snowflake-Authorization-Token-Type``."""

    token: Secret
    type: str


class Credential(Protocol):
    """A key pair or a programmatic access token."""

    def bearer(self) -> Bearer:
        """The credential itself, as a bearer token; signs one if need be."""

    def grant(self, scope: str) -> tuple[tuple[str, str], ...]:
        """The form fields that ask for a token for the host ``scope``."""

    def forget(self) -> None:
        """Read or sign it anew at the next use: the server refused it."""

    def mistimed(self) -> bool:
        """Whether it was signed with a time that the server is known to refuse."""

    def expires_s(self) -> float | None:
        """When it expires, seconds since 1970; ``None``: unknown."""

    @property
    def kind(self) -> str:
        """``jwt`` or ``pat``: a label of metrics."""


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A scoped token; ``renew_boot_s`` is ``None`` when the token does not tell its life."""

    bearer: Bearer
    host: str
    renew_boot_s: float | None
    expires_s: float | None


Exchange = Callable[[bytes, Bearer], HttpReply]
"""Posts a form to ``/oauth/token`` of the account host with a bearer token."""


class ScopedTokens:
    """Keeps one scoped token, and renews it before it expires."""

    def __init__(
        self, credential: Credential, exchange: Exchange, time: ServerTime, clock: Clock, hide: Hide
    ) -> None:
        self._credential = credential
        self._exchange = exchange
        self._time = time
        self._clock = clock
        self._hide = hide
        self._scoped: _Scoped | None = None
        self._offered = True

    def bearer(self, host: str) -> Bearer:
        """The token for calls to the ingest host.

        Raises:
            SignInFailed: the server did not give one.
            ThermalError: the key cannot be used.
            OutcomeUnknown, NotSent: the server was not reached.
        """
        scoped = self._scoped
        if scoped is not None and scoped.host == host and not self._old(scoped):
            return scoped.bearer
        if self._offered:
            self._scoped = self._ask(host)
        if not self._offered or self._scoped is None:
            return self._credential.bearer()
        return self._scoped.bearer

    def reset(self) -> None:
        """Ask anew at the next call, also where the exchange was not offered before."""
        self._scoped = None
        self._offered = True

    def expires_s(self) -> float | None:
        """When the scoped token expires, seconds since 1970; ``None``: none, or unknown."""
        return None if self._scoped is None else self._scoped.expires_s

    def _old(self, scoped: _Scoped) -> bool:
        return scoped.renew_boot_s is not None and self._boot_s() >= scoped.renew_boot_s

    def _ask(self, host: str) -> _Scoped | None:
        """One exchange; ``None`` when the server does not offer it."""
        form = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in self._credential.grant(host)
        )
        reply = self._exchange(form.encode(), self._credential.bearer())
        if reply.status in (404, 405):
            self._offered = False
            return None
        if reply.status != 200:
            raise SignInFailed.of("token", reply)
        token = read_token(reply.body)
        if token is None:
            raise SignInFailed("token", reply.status, "", "the answer holds no token")
        self._hide(token, slot="scoped_token")
        renew_boot_s, expires_s = self._life(read_times(token))
        return _Scoped(Bearer(Secret(token), "OAUTH"), host, renew_boot_s, expires_s)

    def _life(self, times: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
        """When to renew (uptime) and when it expires (since 1970), from ``iat`` and ``exp``."""
        issued_s, expires_s = times
        if expires_s is None:
            return None, None
        life_s = expires_s - (self._time.now_s() if issued_s is None else issued_s)
        margin_s = min(RENEW_BEFORE_S, RENEW_LIFE_SHARE * max(0.0, life_s))
        return self._boot_s() + max(0.0, life_s - margin_s), expires_s

    def _boot_s(self) -> float:
        return self._clock.boottime_ns() / 1e9


def read_token(body: bytes) -> str | None:
    """The token in an answer: bare text (live servers), or ``{"token": …}`` (the documentation).

    Returns:
        ``None`` when there is none, or it could not go into a header.
    """
    text = body[: TOKEN_BYTES_MAX + 1].decode("utf-8", "replace").strip()
    if text.startswith(("{", '"')):
        try:
            read: Any = read_json(text)
        except ValueError:
            return None
        text = str((read.get("token") or "") if isinstance(read, dict) else read).strip()
    usable = text.isascii() and text.isprintable() and " " not in text and "<" not in text
    return text if usable and 0 < len(text) <= TOKEN_BYTES_MAX else None


def read_times(token: str) -> tuple[float | None, float | None]:
    """``iat`` and ``exp`` of a JWT, seconds since 1970, unverified; ``None``: not there."""
    parts = token.split(".")
    if len(parts) != 3:
        return None, None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims: Any = read_json(payload)
    except ValueError:
        return None, None
    if not isinstance(claims, dict):
        return None, None
    return _seconds(claims.get("iat")), _seconds(claims.get("exp"))


def _seconds(value: object) -> float | None:
    """A claim in seconds; the server also knows milliseconds (Snowflake docs)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1000 if value > 1e11 else float(value)
