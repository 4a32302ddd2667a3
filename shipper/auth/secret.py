"""A text that must never be seen: not in a log, a metric, a repr, a traceback or a pickle."""

import hmac
from typing import Final, NoReturn, Protocol

HIDDEN: Final = "<hidden>"

class Hide(Protocol):
    """Where a new secret is announced, so that the log can blot it out; ``Log.hide``."""

    def __call__(self, secret: str, /, *, slot: str = "") -> None:
        """``slot`` names a secret that is renewed; "" is for one that lasts."""


class Secret:
    """Holds a secret; only ``reveal`` gives it away, at the one line that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")
