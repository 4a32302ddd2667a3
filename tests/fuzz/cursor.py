"""Fuzz input taken apart: numbers and pieces of text from the front, the rest at the end."""

from typing import Final

_SEPARATOR: Final = b"\x00\xff"


class Cursor:
    """Reads one input from its beginning; an input that is too short gives zeros and nothings."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def number(self, below: int) -> int:
        """A number from 0, below ``below`` (at most 65,536), out of two bytes."""
        taken, self._left = self._left[:2], self._left[2:]
        return int.from_bytes(taken, "big") % below

    def piece(self) -> bytes:
        """The bytes up to the next separator, which is dropped."""
        taken, _, self._left = self._left.partition(_SEPARATOR)
        return taken

    def text(self) -> str:
        """A piece as text."""
        return self.piece().decode("utf-8", "replace")

    def rest(self) -> bytes:
        """All that is left."""
        taken, self._left = self._left, b""
        return taken


def pieces(*parts: bytes) -> bytes:
    """An input that ``Cursor.piece`` takes apart again."""
    return _SEPARATOR.join(parts)
