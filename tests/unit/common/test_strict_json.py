"""JSON of others: read strictly, and never a reason to end the process."""

import pytest

from common.strict_json import read_json


def test_json_is_read() -> None:
    """Bytes and text alike."""
    assert read_json(b'{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert read_json('"x"') == "x"


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "1e999", "[" * 200_000, '{"a":' * 50_000, b"\xff"]
)
def test_anything_else_is_one_error(text: str | bytes) -> None:
    """Also what is nested so deeply that the decoder's own recursion ends."""
    with pytest.raises(ValueError, match=r".") as raised:
        read_json(text)
    assert not isinstance(raised.value, RecursionError)
