"""What the spool's owner is told at the start: where, who, how much, and by which means."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.database import Opener, open_reader, open_writer
from common.identity import Hardware
from common.spool.prepare import prepare

Prepare = Callable[[Path, str, int], None]
"""``common.spool.prepare.prepare``, or its like."""


@dataclass(frozen=True, slots=True)
class Names:
    """Who takes the rows: changes of these are data, not identity."""

    device_id: str
    hostname: str
    collector_version: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be kept.

    Attributes:
        cap_bytes: most that the directory may hold, without what was set aside.
        free_reserve_bytes: free disk that is left to the system.
        retain_rows: committed rows that are kept all the same; at least one always is.
    """

    cap_bytes: int
    free_reserve_bytes: int = 0
    retain_rows: int = 1


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """The spool of one collector.

    Attributes:
        directory: holds ``spool.db`` and ``ship.db``.
        names: see ``Names``.
        hardware: the serial numbers seen now.
        limits: see ``Limits``.
        runtime_directory: on tmpfs, keeps the position of the last commit; ``None``: every start
            begins a new epoch.
    """

    directory: Path
    names: Names
    hardware: Hardware
    limits: Limits
    runtime_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """How files are opened and ids are made; tests put faulty ones in their place."""

    open_writer: Opener = open_writer
    open_reader: Opener = open_reader
    prepare: Prepare = prepare
    random_bytes: Callable[[int], bytes] = field(default=os.getrandom)
