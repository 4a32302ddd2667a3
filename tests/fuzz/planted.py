"""Negative control: parsers with the mistakes that people make, which fuzzing must find."""

from typing import Final

from shipper.protocol.token import OffsetToken, TokenUnreadable
from tests.fuzz.answers import Target


def lenient_token(data: bytes) -> None:
    """Reads numbers by ``int``, which takes blanks, signs and underscores: two texts mean one."""
    text = data.decode("utf-8", "replace")
    try:
        version, epoch, ancestors, seq = text.split("|")
        if version != "v1":
            return
        read = OffsetToken(epoch, tuple(ancestors.split(",")) if ancestors else (), int(seq))
    except (TokenUnreadable, ValueError):
        return
    assert str(read) == text, f"{text!r} is read as {read}"


SEEDS: Final[dict[Target, tuple[bytes, ...]]] = {
    lenient_token: (b"v1|0123456789abcdef||00000000000000000007",),
}
