"""The one table of the server's codes, and how a code is found in the bodies that the server sends.

Sources: Snowflake's error handling page and REST reference; shapes and codes seen live in
supabase/etl, Redpanda Connect, EMQX, Estuary and Artie clients. What is not in the table is decided
by the HTTP status.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from common.strict_json import read_json

BODY_BYTES_MAX: Final = 1 << 20
"""Longest answer that is looked at."""
TEXT_MAX: Final = 500


class Meaning(Enum):
    """What a code says about the request and the channel."""

    LOST = auto()
    """The channel must be opened again."""
    FENCED = auto()
    """Likewise, because somebody opened it after us."""
    UNCOMMITTED = auto()
    """An open that must not discard found rows on their way."""
    BUSY = auto()
    """Try later; not applied."""
    RETRY = auto()
    """Try again; perhaps applied."""
    UNAUTHORIZED = auto()
    """The token is not taken."""
    OPERATOR = auto()
    """Only a person can mend it."""
    OURS = auto()
    """The request itself is wrong: a bug, treated as a person's case."""


CODES: Final[dict[str, Meaning]] = {
    "STALE_CONTINUATION_TOKEN_SEQUENCER": Meaning.FENCED,
    "ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER": Meaning.FENCED,
    "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER": Meaning.LOST,
    "ERR_CHANNEL_MUST_BE_REOPENED": Meaning.LOST,
    "ERR_CHANNEL_MUST_BE_REOPENED_DUE_TO_ROW_SEQ_GAP": Meaning.LOST,
    "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED": Meaning.LOST,
    "ERR_CHANNEL_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.LOST,
    "STALE_PIPE_CACHE": Meaning.LOST,
    "SWITCH_TO_FILE_MODE": Meaning.LOST,
    "ERR_CHANNEL_HAS_UNCOMMITTED_DATA": Meaning.UNCOMMITTED,
    "ERR_OPEN_CHANNEL_IN_PROGRESS": Meaning.BUSY,
    "390701": Meaning.BUSY,
    "ERR_GENERAL_EXCEPTION_RETRY_REQUEST": Meaning.RETRY,
    "PAT_INVALID": Meaning.UNAUTHORIZED,
    "390104": Meaning.UNAUTHORIZED,
    "390144": Meaning.UNAUTHORIZED,
    "394302": Meaning.UNAUTHORIZED,
    "ERR_PIPE_IN_INVALID_STATE": Meaning.OPERATOR,
    "ERR_PIPE_KIND_NOT_SUPPORTED": Meaning.OPERATOR,
    "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.OPERATOR,
    "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED": Meaning.OPERATOR,
    "ERR_TABLE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.OPERATOR,
    "ERR_DATABASE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.OPERATOR,
    "ERR_SCHEMA_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.OPERATOR,
    "ERR_ROLE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": Meaning.OPERATOR,
    "391902": Meaning.OURS,
}

STATUS_CODES: Final[dict[int, Meaning]] = {3: Meaning.UNAUTHORIZED, 4: Meaning.FENCED}
"""Numeric ``status_code`` of a 200 that is none (supabase/etl's client knows these two)."""


@dataclass(frozen=True, slots=True)
class Body:
    """What could be read of a body.

    Attributes:
        json: the parsed value; ``None`` when it is not JSON (or JSON null).
        is_json: whether it is strict JSON.
        code: the server's code, or "".
        message: the server's text, shortened, or "".
    """

    json: Any
    is_json: bool
    code: str
    message: str

    @property
    def object(self) -> dict[str, Any] | None:
        """The parsed JSON object, or ``None``."""
        return self.json if isinstance(self.json, dict) else None

    @property
    def is_answer(self) -> bool:
        """Whether a service wrote it: JSON or plain text, not HTML and not nothing."""
        return self.is_json or (self.message != "" and not self.is_page)

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: nobody who serves the API sends one."""
        return not self.is_json and self.message.startswith("<")

    @property
    def meaning(self) -> Meaning | None:
        """What the code means; ``None``: not in the table."""
        return CODES.get(self.code)


def read_body(data: bytes) -> Body:
    """Read a body in any of the shapes seen: object, bare JSON string, text, HTML, nothing."""
    if not data or len(data) > BODY_BYTES_MAX:
        return Body(None, False, "", "answer too long" if data else "")
    try:
        parsed = read_json(data)
    except ValueError:
        return Body(None, False, "", _short(data.decode("utf-8", "replace")))
    if isinstance(parsed, str):
        return Body(parsed, True, parsed if parsed.isupper() else "", _short(parsed))
    if not isinstance(parsed, dict):
        return Body(parsed, True, "", "")
    # The data plane says "code", the control plane "error_code"; EMQX parses "error".
    code = next((str(parsed[k]) for k in ("code", "error_code", "error") if parsed.get(k)), "")
    return Body(parsed, True, code[:TEXT_MAX], _short(str(parsed.get("message") or "")))


def _short(text: str) -> str:
    """A text for people: one line, no control characters, bounded."""
    line = " ".join(text[: 4 * TEXT_MAX].split())
    return "".join(c for c in line if c.isprintable())[:TEXT_MAX]
