"""When the server wants us back."""

import pytest

from shipper.protocol.retry_after import retry_after_s

DATE = "Fri, 20 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "86400"}, 900.0),
        ({"retry-after": "9" * 400}, 900.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2027 12:00:00 GMT", "date": DATE}, 900.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Fri, 99 Nov 2026 12:00:30 GMT", "date": DATE}, None),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 -0000", "date": DATE}, None),
    ],
)
def test_the_wish_is_read_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date against the server's own Date, never our clock; 15 minutes at most."""
    assert retry_after_s(headers) == seconds
