"""When the server wants us back: ``Retry-After`` as seconds, or as a date beside its ``Date``."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

RETRY_AFTER_MAX_S: Final = 900.0
"""A wish for more than 15 minutes is cut to that: an absurd one would silence a device."""
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
)  # fmt: skip
_IMF_DATE: Final = re.compile(
    r"\A[A-Z][a-z]{2}, (?P<day>\d{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})"
    r" (?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2}) GMT\Z",
    re.ASCII,
)
"""The one form that senders may use (RFC 9110 §5.6.7); email.utils would import sockets."""


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
    found = _IMF_DATE.match(text)
    if found is None or found["month"] not in _MONTHS:
        return None
    numbers = (int(found[part]) for part in ("day", "hour", "minute", "second"))
    day, hour, minute, second = numbers
    month = _MONTHS.index(found["month"]) + 1
    try:
        return datetime(int(found["year"]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
