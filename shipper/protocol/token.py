"""The offset token: which row a commit ends with, and which history that row belongs to.

Grammar, fixed width, so that no two texts mean the same::

    token     = "v1|" epoch "|" [ epoch *3("," epoch) ] "|" seq
    epoch     = 16 lower-case hex digits
    seq       = 20 decimal digits

The ancestors (nearest first) let an open tell where a token stands even after a card lost whole
boots.
"""

from dataclasses import dataclass
from typing import Final

from common.identity import ANCESTORS_MAX, Lineage

VERSION: Final = "v1"
EPOCH_DIGITS: Final = 16
SEQ_DIGITS: Final = 20
SEQ_MAX: Final = (1 << 63) - 1
_HEX: Final = frozenset("0123456789abcdef")
_DECIMAL: Final = frozenset("0123456789")


class TokenUnreadable(ValueError):
    """A text is not an offset token of this version; it is never guessed at."""


@dataclass(frozen=True, slots=True)
class OffsetToken:
    """A row named together with its history.

    Attributes:
        epoch: 16 lower-case hex digits.
        ancestors: up to 4 parents of the epoch, nearest first.
        seq: 1 … 2**63 - 1.

    Raises:
        TokenUnreadable: a part breaks the grammar.
    """

    epoch: str
    ancestors: tuple[str, ...]
    seq: int

    def __post_init__(self) -> None:
        for name in (self.epoch, *self.ancestors):
            if len(name) != EPOCH_DIGITS or not _HEX.issuperset(name):
                raise TokenUnreadable(
                    f"epoch {name!r}: expected {EPOCH_DIGITS} lower-case hex digits"
                )
        if len(self.ancestors) > ANCESTORS_MAX:
            raise TokenUnreadable(f"{len(self.ancestors)} ancestors, at most {ANCESTORS_MAX}")
        if not 1 <= self.seq <= SEQ_MAX:
            raise TokenUnreadable(f"seq {self.seq}: expected 1 … {SEQ_MAX}")

    def __str__(self) -> str:
        return f"{VERSION}|{self.epoch}|{','.join(self.ancestors)}|{self.seq:0{SEQ_DIGITS}d}"


def parse(text: str) -> OffsetToken:
    """Read a token.

    Raises:
        TokenUnreadable: it is not of this grammar, or of another version.
    """
    parts = text.split("|")
    if len(parts) != 4 or parts[0] != VERSION:
        raise TokenUnreadable(f"token {text[:128]!r}: expected {VERSION}|epoch|ancestors|seq")
    _, epoch, ancestors, seq = parts
    if len(seq) != SEQ_DIGITS or not _DECIMAL.issuperset(seq):
        raise TokenUnreadable(f"seq {seq[:64]!r}: expected {SEQ_DIGITS} decimal digits")
    return OffsetToken(epoch, tuple(ancestors.split(",")) if ancestors else (), int(seq))


def token_of(lineage: Lineage, epoch: str, seq: int) -> OffsetToken:
    """The token of a row of ours."""
    return OffsetToken(epoch, lineage.ancestors(epoch), seq)
