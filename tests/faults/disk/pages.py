"""Which page of an SQLite file is what: enough of https://www.sqlite.org/fileformat2.html."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = 4096
WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24
_INTERIOR: Final = (0x02, 0x05)
_RIGHTMOST_AT: Final = 8
_CELLS_AT: Final = 12


@dataclass(frozen=True, slots=True)
class Map:
    """Page numbers, from 0, by what they are.

    Attributes:
        roots: by the name of the table or index.
        interior: pages inside the tree of ``readings``, its root among them.
        leaves: pages that hold rows of ``readings``.
        free: trunks and leaves of the freelist.
        pages: how many there are.
    """

    roots: dict[str, int]
    interior: tuple[int, ...]
    leaves: tuple[int, ...]
    free: tuple[int, ...]
    pages: int


def read_map(path: Path, tree: str = "readings") -> Map:
    """Read the map of a sound file; pages that only the write-ahead log has are not in it."""
    data = path.read_bytes()
    roots = {name: page for name, page in _roots(path).items() if page * PAGE < len(data)}
    interior: list[int] = []
    leaves: list[int] = []
    for page in _tree(data, roots[tree]) if tree in roots else ():
        (interior if data[page * PAGE] in _INTERIOR else leaves).append(page)
    return Map(roots, tuple(interior), tuple(leaves), tuple(_free(data)), len(data) // PAGE)


def _roots(path: Path) -> dict[str, int]:
    """Root pages; ``immutable`` reads the file alone, and makes no file beside it."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found = connection.execute("SELECT name, rootpage FROM sqlite_schema").fetchall()
    return {name: root - 1 for name, root in found if root}


def _tree(data: bytes, page: int) -> Iterator[int]:
    """A page and everything below it."""
    if not 0 <= page < len(data) // PAGE:
        return
    yield page
    at = page * PAGE
    if data[at] not in _INTERIOR:
        return
    (cells,) = struct.unpack_from(">H", data, at + 3)
    for i in range(cells):
        (cell,) = struct.unpack_from(">H", data, at + _CELLS_AT + 2 * i)
        (child,) = struct.unpack_from(">I", data, at + cell)
        yield from _tree(data, child - 1)
    (child,) = struct.unpack_from(">I", data, at + _RIGHTMOST_AT)
    yield from _tree(data, child - 1)


def cell_columns(path: Path, table: str) -> list[range]:
    """Where the columns of a table's only row lie in the file; the first range is the whole cell.

    The table is one page with one cell, which begins with its length and key of one byte each.
    """
    data = path.read_bytes()
    page = _roots(path)[table] * PAGE
    begin = page + struct.unpack_from(">H", data, page + _CELLS_AT - 4)[0]
    length, header = _varint(data, begin)[0], _varint(data, begin)[1] + 1
    size, at = _varint(data, header)
    body, places = header + size, [range(begin, header + length)]
    while at < header + size:
        kind, at = _varint(data, at)
        wide = (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind]
        places.append(range(body, body + wide))
        body += wide
    return places


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of SQLite's variable length, and where the next thing begins."""
    value = 0
    while data[at] & 0x80:
        value, at = value << 7 | data[at] & 0x7F, at + 1
    return value << 7 | data[at], at + 1


def _free(data: bytes) -> Iterator[int]:
    """The pages of the freelist."""
    (trunk,) = struct.unpack_from(">I", data, 32)
    while trunk and trunk * PAGE <= len(data):
        yield trunk - 1
        at = (trunk - 1) * PAGE
        following, count = struct.unpack_from(">II", data, at)
        for i in range(min(count, PAGE // 4 - 2)):
            yield struct.unpack_from(">I", data, at + 8 + 4 * i)[0] - 1
        trunk = following
