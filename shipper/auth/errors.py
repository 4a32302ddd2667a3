"""Why a sign-in failed: what the server said, and what a person can do about it."""

import re
from typing import Final, Self

from shipper.protocol.codes import read_body
from shipper.protocol.replies import HttpReply
from shipper.protocol.retry_after import retry_after_s

_PUBKEY: Final = "register the key: thermal-shipper pubkey prints the ALTER USER … for it"
_CLOCK: Final = "the token's time is refused: check the clock with timedatectl"

REMEDIES: Final[dict[str, str]] = {
    "PAT_INVALID": "the token expired or was removed: ALTER USER … ADD PROGRAMMATIC ACCESS TOKEN …",
    "390144": _PUBKEY,
    "394300": "no such user: [snowflake] user must be the LOGIN_NAME that DESC USER shows",
    "394302": _CLOCK,
    "394303": _CLOCK,
    "394304": _PUBKEY,
    "394306": _PUBKEY,
    "394307": "account and URL differ: [snowflake] account must be the one that url belongs to",
    "390186": "the role is not granted to the user: GRANT ROLE … TO USER …",
    "390422": "a network policy refuses this address: ask for it to be allowed",
}
"""Remedies by code (Snowflake docs, SYSTEM$GET_LOGIN_FAILURE_DETAILS and PAT pages)."""

_LOGIN_ID: Final = re.compile(r"\[([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\]", re.IGNORECASE)


class SignInFailed(Exception):
    """The server gave no host or no token; it certainly took no rows.

    Attributes:
        step: ``hostname`` or ``token``.
        status: HTTP status.
        code: the server's code, or "".
        text: the server's message, shortened, or "".
        retry_after_s: when it wants us back; ``None``: it did not say.
    """

    retry_after_s: float | None = None

    def __init__(self, step: str, status: int, code: str, text: str) -> None:
        super().__init__(f"{step}: HTTP {status} {code} {text}".rstrip())
        self.step = step
        self.status = status
        self.code = code
        self.text = text

    @classmethod
    def of(cls, step: str, reply: HttpReply) -> Self:
        """The refusal in an answer that is not 200."""
        body = read_body(reply.body)
        text = "" if body.message.startswith("<") else body.message
        failed = cls(step, reply.status, body.code, text)
        if not failed.refused:
            failed.retry_after_s = retry_after_s(reply.headers)
        return failed

    @property
    def refused(self) -> bool:
        """Whether the credential was refused, rather than the server being unwell."""
        return self.status in (400, 401, 403)

    @property
    def remedy(self) -> str:
        """What a person can do."""
        found = _LOGIN_ID.search(self.text)
        details = f"SYSTEM$GET_LOGIN_FAILURE_DETAILS('{found[1]}')" if found else ""
        reason = f"; an administrator sees why with {details}" if details else ""
        if self.code in REMEDIES:
            return REMEDIES[self.code] + reason
        if self.refused:
            return (
                "check [snowflake] account, user and role, and the key with thermal-shipper pubkey"
                + reason
            )
        return "the server is unwell or something stands between; try again later"
