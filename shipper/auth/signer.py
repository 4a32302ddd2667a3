"""The one signer of key-pair tokens: 59 minutes each, renewed five minutes early, under a lock."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from common.clock import Clock
from common.errors import ConfigError, PermissionRefused, ThermalError
from shipper.auth.account import Account
from shipper.auth.secret import Hide, Secret
from shipper.auth.server_time import ServerTime

LIFE_S: Final = 3_540
"""Snowflake refuses a token older than an hour, whatever its ``exp`` says."""
RENEW_BEFORE_S: Final = 300
SIGN_TIMEOUT_S: Final = 30.0
"""For the child; its imports alone take seconds on a slow card."""
SKEW_MAX_S: Final = 30.0
"""A token signed with a time that turns out to be further off than this is worth signing anew."""

RunModule = Callable[[str, bytes, float], bytes]
"""``common.children.run_module``: module, stdin and timeout in seconds to stdout."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Where the private key is: in a file, or as text out of the SDK's profile.

    Attributes:
        key_file: path of the PEM file, or ``None``.
        key: the PEM text, or ``None``.
        passphrase_file: path of the file with its passphrase, or ``None``.
        passphrase: the passphrase, or ``None``.
    """

    key_file: str | None = None
    key: Secret | None = None
    passphrase_file: str | None = None
    passphrase: Secret | None = None

    def request(self, claim: dict[str, Any] | None) -> bytes:
        """The request to the signing child; ``None`` asks for the public key only."""
        return json.dumps(
            {
                "key_file": self.key_file,
                "key": self.key.reveal() if self.key else None,
                "passphrase_file": self.passphrase_file,
                "passphrase": self.passphrase.reveal() if self.passphrase else None,
                "claim": claim,
            }
        ).encode()


@dataclass(frozen=True, slots=True)
class SignedToken:
    """One key-pair token.

    Attributes:
        token: the token.
        issued_s: its ``iat``, seconds since 1970.
        renew_boot_s: uptime from which it is to be renewed, seconds.
        fingerprint: of the public key, ``SHA256:…``.
    """

    token: Secret
    issued_s: int
    renew_boot_s: float
    fingerprint: str

    @property
    def expires_s(self) -> int:
        """Its ``exp``, seconds since 1970 by the server's clock."""
        return self.issued_s + LIFE_S


def ask_child(run: RunModule, request: bytes) -> dict[str, Any]:
    """Ask the signing child, and raise its refusal as our own error.

    Raises:
        ConfigError: the key is no good, see ``sign.load_private_key``.
        PermissionRefused: the key file may not be read.
        ThermalError: the child failed or took too long.
    """
    answer: dict[str, Any] = json.loads(run("shipper.auth.sign", request, SIGN_TIMEOUT_S))
    if "error" not in answer:
        return answer
    kinds: dict[int, type[ThermalError]] = {
        int(kind.exit_code): kind for kind in (ConfigError, PermissionRefused)
    }
    raise kinds.get(answer["exit_code"], ThermalError)(answer["error"], hint=answer["hint"])


class Signer:
    """Hands out a valid token; signs only when the one it has grows old or was forgotten."""

    def __init__(
        self, key: SigningKey, claim: dict[str, str], time: ServerTime, clock: Clock,
        run: RunModule, hide: Hide,
    ) -> None:
        self._key = key
        self._claim = claim
        self._time = time
        self._clock = clock
        self._run = run
        self._hide = hide
        self._lock = threading.Lock()
        self._signed: SignedToken | None = None

    def signed(self) -> SignedToken:
        """The current token, signed now if need be.

        Raises:
            ThermalError: it cannot be signed.
        """
        with self._lock:
            if self._signed is None or self._boot_s() >= self._signed.renew_boot_s:
                self._signed = self._sign()
            return self._signed

    def forget(self) -> None:
        """Sign anew at the next call: the server refused the token."""
        with self._lock:
            self._signed = None

    def signed_at_wrong_time(self) -> bool:
        """Whether the token's ``iat`` is far from what the server's clock, known since, says."""
        with self._lock:
            if self._signed is None:
                return False
            age_s = self._boot_s() - (self._signed.renew_boot_s - LIFE_S + RENEW_BEFORE_S)
            return abs(self._time.now_s() - age_s - self._signed.issued_s) > SKEW_MAX_S

    def expires_s(self) -> float | None:
        """When the current token expires, seconds since 1970; ``None`` without one."""
        signed = self._signed
        return None if signed is None else float(signed.expires_s)

    def _sign(self) -> SignedToken:
        issued_s = int(self._time.now_s())
        start_s = self._boot_s()
        claim = {**self._claim, "issued_at": issued_s, "life_s": LIFE_S}
        answer = ask_child(self._run, self._key.request(claim))
        self._hide(answer["token"], slot="jwt")
        return SignedToken(
            token=Secret(answer["token"]),
            issued_s=issued_s,
            renew_boot_s=start_s + LIFE_S - RENEW_BEFORE_S,
            fingerprint=answer["fingerprint"],
        )

    def _boot_s(self) -> float:
        return self._clock.boottime_ns() / 1e9


def claim_of(account: Account, user: str, role: str) -> dict[str, str]:
    """What the token says besides its times."""
    return {"account": account.claim, "user": user, "role": role}
