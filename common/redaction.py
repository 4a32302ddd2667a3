"""Keeps secrets out of everything that a person or a journal may read.

A secret is hidden in two ways: by value, once somebody has registered it with ``hide``, and by
shape, because a JWT or a PEM block is recognised wherever it appears.

``SECRETS`` is the one object of the product that is shared and changes: what is secret is a fact of
the process, and the handler of last resort, which prints the traceback of a bug, must know it
without having been handed anything.
"""

import json
import re
import threading
from typing import Final
from urllib.parse import quote

MASK: Final = "***"

_LENGTH_MIN: Final = 4
"""A shorter secret would mask half of every line; nothing that signs in is that short."""

_SHAPES: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*"  # JWT: two or three base64url parts, the first a JSON object
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


class Redactor:
    """A set of secrets and the means to cut them out of a text; safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasting: set[str] = set()
        self._slots: dict[str, tuple[str, ...]] = {}
        self._pattern: re.Pattern[str] | None = None

    def hide(self, secret: str, *, slot: str = "") -> None:
        """Never show this text again.

        Args:
            secret: the text; fewer than 4 characters are ignored. Of a text of several lines, each
                line of 16 characters or more is hidden on its own as well.
            slot: a name for a secret that is renewed; only the two newest of a slot are kept, so a
                service that renews a token every hour for a year does not grow. Empty: for ever.
        """
        secret = secret.strip()
        if len(secret) < _LENGTH_MIN:
            return
        with self._lock:
            if slot:
                self._slots[slot] = (*self._slots.get(slot, ()), secret)[-2:]
            else:
                self._lasting.add(secret)
            self._pattern = _any_of(self._lasting.union(*self._slots.values()))

    def clean(self, text: str) -> str:
        """The text with ``***`` in place of every secret."""
        pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        return _SHAPES.sub(MASK, text)


def _any_of(secrets: set[str]) -> re.Pattern[str]:
    """A pattern for the secrets as they are, as JSON, as repr and as part of a URL."""
    forms: set[str] = set()
    for secret in secrets:
        lines = [line for line in secret.splitlines() if len(line) >= 16]
        for text in (secret, *lines):
            forms |= {text, json.dumps(text)[1:-1], repr(text)[1:-1], quote(text, safe="")}
    # Longest first, or a secret that begins with another would be hidden only in part.
    return re.compile("|".join(re.escape(f) for f in sorted(forms, key=len, reverse=True)))


SECRETS: Final = Redactor()
"""What this process must not show."""
