"""What a card, a bug or a hand does to a file: where it hits, and how; all drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.disk.pages import FRAME_HEADER, PAGE, WAL_HEADER, Map, read_map

Manner = Callable[[bytearray, int, Random], None]
"""Changes a file's bytes around an offset: the begin of a page, or of a smaller part."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One damage.

    Attributes:
        file: name in the spool directory.
        place: which part of it.
        manner: how.
    """

    file: str
    place: str
    manner: str

    def __str__(self) -> str:
        return f"{self.file}/{self.place}/{self.manner}"


def _flip(data: bytearray, at: int, random: Random) -> None:
    """One bit of the page."""
    where = at + random.randrange(min(PAGE, len(data) - at))
    data[where] ^= 1 << random.randrange(8)


def _flip_many(data: bytearray, at: int, random: Random) -> None:
    """Up to 32 bits of the page."""
    for _ in range(random.randint(2, 32)):
        _flip(data, at, random)


def _flip_begin(data: bytearray, at: int, random: Random) -> None:
    """A bit within the first 16 bytes: kind, counts and pointers of a page."""
    where = at + random.randrange(min(16, len(data) - at))
    data[where] ^= 1 << random.randrange(8)


def _zero(data: bytearray, at: int, random: Random) -> None:
    data[at : at + PAGE] = bytes(len(data[at : at + PAGE]))


def _noise(data: bytearray, at: int, random: Random) -> None:
    data[at : at + PAGE] = random.randbytes(len(data[at : at + PAGE]))


def _half(data: bytearray, at: int, random: Random) -> None:
    """The second half of the page was never written: a torn page."""
    data[at + PAGE // 2 : at + PAGE] = bytes(len(data[at + PAGE // 2 : at + PAGE]))


def _sector(data: bytearray, at: int, random: Random) -> None:
    """One sector of 512 bytes is erased flash."""
    begin = at + 512 * random.randrange(PAGE // 512)
    data[begin : begin + 512] = b"\xff" * len(data[begin : begin + 512])


def _swap(data: bytearray, at: int, random: Random) -> None:
    """Two pages have changed places."""
    other = PAGE * random.randrange(max(1, len(data) // PAGE))
    one, two = bytes(data[at : at + PAGE]), bytes(data[other : other + PAGE])
    data[at : at + PAGE], data[other : other + PAGE] = two, one


def _duplicate(data: bytearray, at: int, random: Random) -> None:
    """Another page was written here as well."""
    other = PAGE * random.randrange(max(1, len(data) // PAGE))
    data[at : at + PAGE] = data[other : other + PAGE]


def _truncate(data: bytearray, at: int, random: Random) -> None:
    del data[at:]


def _truncate_inside(data: bytearray, at: int, random: Random) -> None:
    """Cut inside the page: the size is no multiple of a page any more."""
    del data[at + random.randrange(1, PAGE) :]


def _append(data: bytearray, at: int, random: Random) -> None:
    """More bytes at the end than there should be."""
    data += random.randbytes(random.choice((1, 100, PAGE - 1, PAGE, 3 * PAGE + 7)))


MANNERS: Final[dict[str, Manner]] = {
    "flip": _flip,
    "flip many": _flip_many,
    "flip begin": _flip_begin,
    "zero": _zero,
    "noise": _noise,
    "half": _half,
    "sector": _sector,
    "swap": _swap,
    "duplicate": _duplicate,
    "truncate": _truncate,
    "truncate inside": _truncate_inside,
    "append": _append,
}

SPOOL_PLACES: Final = (
    "header", "schema", "root install", "root epochs", "root origins", "root boots", "root state",
    "root trimmed", "root events", "root readings", "root other", "interior", "leaf", "free",
    "last",
)  # fmt: skip
SHIP_PLACES: Final = (
    "header", "schema", "root install", "root progress", "root dead_letters", "root events",
    "root told", "root requests", "root other", "last",
)  # fmt: skip
WAL_PLACES: Final = ("wal header", "frame header", "frame body", "early frame", "last frame")


def apply(path: Path, hit: Hit, random: Random) -> None:
    """Damage a file in place; the file must be closed."""
    data = bytearray(path.read_bytes())
    if hit.place in WAL_PLACES:
        at = _wal_offset(len(data), hit.place, random)
    else:
        at = _offset(read_map(path), hit.place, random)
    MANNERS[hit.manner](data, at, random)
    path.write_bytes(data)


def _offset(found: Map, place: str, random: Random) -> int:
    """Where a part of a database begins; a part that it lacks means any page."""
    anywhere = tuple(range(found.pages))
    if place == "header":
        return 0
    if place == "schema":
        return random.randrange(100, 2000)
    if place == "last":
        return (found.pages - 1) * PAGE
    if place == "root other":
        return PAGE * random.choice([p for n, p in found.roots.items() if n.startswith("sqlite_")])
    if place.startswith("root "):
        return PAGE * found.roots.get(place.removeprefix("root "), random.choice(anywhere))
    pages = {"interior": found.interior, "leaf": found.leaves, "free": found.free}[place]
    return PAGE * random.choice(pages or anywhere)


def _wal_offset(size: int, place: str, random: Random) -> int:
    """Where a part of a write-ahead log begins."""
    frame = FRAME_HEADER + PAGE
    frames = max(1, (size - WAL_HEADER) // frame)
    number = {"early frame": 0, "last frame": frames - 1}.get(place, random.randrange(frames))
    begin = WAL_HEADER + number * frame
    return {"wal header": 0, "frame body": begin + FRAME_HEADER}.get(place, begin)
