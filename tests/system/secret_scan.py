"""Looks for planted secrets, and for anything shaped like one, in what a program let out."""

import base64
import re
from collections.abc import Iterable
from typing import Final

_JWT: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
_PEM: Final = re.compile(r"-----BEGIN (?:ENCRYPTED |RSA )?PRIVATE KEY-----")
_LEAST: Final = 12
"""Shorter pieces of a secret would be found by chance."""


def pieces(secret: str) -> set[str]:
    """What of a secret must not appear: its lines, and each of them in base64 and as a repr."""
    lines = {line.strip() for line in secret.splitlines() if not line.startswith("-----")}
    long = {line for line in lines if len(line) >= _LEAST}
    encoded = {base64.b64encode(line.encode()).decode().rstrip("=") for line in long}
    return long | encoded | {line[:24] for line in long if len(line) > 24}


def found(text: str, secrets: Iterable[str]) -> list[str]:
    """What a text gives away: the beginning of each piece, enough to see which it is."""
    hits = [
        piece[:6] + "…" for secret in secrets for piece in sorted(pieces(secret)) if piece in text
    ]
    hits += [f"a JSON Web Token: {match[:10]}…" for match in _JWT.findall(text)]
    hits += ["a private key" for _ in _PEM.findall(text)]
    return hits
