"""How many pages the spool may have: pure arithmetic over the cap and the free disk."""

from dataclasses import dataclass
from typing import Final

from collector.spool.options import Limits
from common.database import PAGE_BYTES

_MIB: Final = 1024 * 1024
BALLAST_BYTES_MAX: Final = 4 * _MIB
LOG_BYTES_MIN: Final = 2 * _MIB
PAGES_MIN: Final = 64
PAGES_FREED_MIN: Final = 8
THIN_SHARE: Final = 10
"""A thinning pass frees at least one part in so many of the cap."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the spool takes now.

    Attributes:
        pages: pages of ``spool.db``, free ones included; the file never shrinks.
        free_pages: pages in it that new rows will use first.
        other_bytes: everything else in the directory but the log, the ballast and what was set
            aside: above all ``ship.db``.
        disk_free_bytes: free for the service on that disk, now.
    """

    pages: int
    free_pages: int
    other_bytes: int
    disk_free_bytes: int

    @property
    def used_bytes(self) -> int:
        """What the rows take."""
        return (self.pages - self.free_pages) * PAGE_BYTES


def ballast_bytes(limits: Limits) -> int:
    """Size of the file that is given up to get a full disk moving again."""
    return min(BALLAST_BYTES_MAX, limits.cap_bytes // 64)


def log_bytes(limits: Limits) -> int:
    """Room for the write-ahead log: a thinning pass writes what it keeps through it."""
    return max(LOG_BYTES_MIN, limits.cap_bytes // 8)


def page_limit(limits: Limits, usage: Usage) -> int:
    """Most pages that the spool may have: the cap without the rest, and what the disk still has."""
    beside = usage.other_bytes + ballast_bytes(limits) + log_bytes(limits)
    by_cap = (limits.cap_bytes - beside) // PAGE_BYTES
    growth = max(0, usage.disk_free_bytes - limits.free_reserve_bytes) // PAGE_BYTES
    return max(PAGES_MIN, min(by_cap, usage.pages + growth))


def is_crowded(limit: int, usage: Usage) -> bool:
    """Whether room must be made: less than a twentieth of the limit is left."""
    room = limit - (usage.pages - usage.free_pages)
    return room < max(PAGES_MIN // 2, limit // 20)


def pages_to_free(limits: Limits, limit: int) -> int:
    """Pages that one pass must free, so that passes, and their gap rows, stay rare (rule 19).

    It is a tenth of the cap; but where other programs have filled the disk, and the limit is far
    below the cap, a tenth of the cap might be all there is: then it is a seventh of the limit.
    """
    by_cap = -(-limits.cap_bytes // (THIN_SHARE * PAGE_BYTES))
    return min(by_cap, max(PAGES_FREED_MIN, limit // 7))
