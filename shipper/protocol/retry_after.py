"""When the server wants us back: ``Retry-After`` as seconds, or as a date beside its ``Date``."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_MAX_S: Final = 900.0
"""A wish for more than 15 minutes is cut to that.

An absurd one must not silence a device for days.
"""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wish in seconds, 0 … 900; ``None``: none, or not readable.

    A date is compared with the answer's own ``Date`` and never with our clock, which may be years
    wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_MAX_S)
    wished, now = _date(text), _date(headers.get("date", ""))
    if wished is None or now is None:
        return None
    return min(max((wished - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo is not None else None
