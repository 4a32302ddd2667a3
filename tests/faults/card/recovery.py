"""What the product makes of the image of a crash: start, salvage, go on, start again, ship."""

import contextlib
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.database import open_reader
from common.errors import SpoolError, ThermalError
from common.ship_state import Mark, ShipStateUnreadable, read_ship_state
from common.spool import tables
from common.spool.reader import SpoolReader
from common.spool.row import row_crc
from tests.demo import sources
from tests.demo.rows import Row
from tests.emulators.disk.disk import memory_directory
from tests.emulators.disk.tree import Tree
from tests.faults.card.life import Life, prepare_here
from tests.faults.card.recording import Moment
from tests.tools.spools import close_opened, drain, prepare_quickly

FRESH_SAMPLES: Final = 2
"""Taken after the recovery: new rows must find their way too."""
STEPS_MAX: Final = 300
_SALVAGE_RUNS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one image; nothing here knows what was promised.

    Attributes:
        failed: why it could not be opened or went wrong; empty: it did not.
        trimmed: the acknowledgement of the last trim, likewise.
        exposed: what ``ship.db`` said had left, before anything went on; ``None``: it said nothing.
        lineage: epochs of the spool once it was settled, oldest first.
        rows: rows of the spool, salvage included, before new ones were taken.
        bad_crc: how many of them have another check sum than they should.
        unstable: rows that a second start changed.
        arrived: rows of the table at the end, copies included, in their order.
        aside: keys of samples that lie in files set aside.
        happenings: what the starts told the log.
        drained: whether all that is stored was acknowledged in the end.
    """

    failed: str = ""
    trimmed: Mark | None = None
    exposed: Mark | None = None
    lineage: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    bad_crc: int = 0
    unstable: int = 0
    arrived: tuple[Row, ...] = ()
    aside: frozenset[tuple[str, str, int]] = frozenset()
    happenings: tuple[str, ...] = ()
    drained: bool = True


def recover(image: Tree, moment: Moment) -> Outcome:
    """Put an image onto a disk and let the product go on with it, in a new boot."""
    with tempfile.TemporaryDirectory(prefix="thermal-cut-", dir=memory_directory()) as name:
        root = Path(name)
        place = root / "card"
        place.mkdir()
        image.export(place)
        try:
            return recover_at(root, place, moment)
        except (ThermalError, sqlite3.Error) as error:
            return Outcome(failed=f"{type(error).__name__}: {error}")
        finally:
            close_opened()


def recover_at(root: Path, place: Path, moment: Moment) -> Outcome:
    """The same with the files where they are.

    Args:
        root: a directory beside them, for what does not survive a boot.
        place: has the spool directory.
        moment: the world outside.

    Raises:
        ThermalError: it could not be opened, or the drain could not go on.
    """
    life = Life(root, place)
    device = life.device
    # Ids of this life must not be those of the life before: seed by its moment.
    device.random = Random(moment.uptime_s)
    life.use(_prepare)
    life.take_over(moment, "c1" * 16)
    told: list[str] = []
    exposed = _exposed(device.directory)
    with device.start() as store:
        told += [happening.name for happening in store.happenings()]
        _salvage(store)
        trimmed = _trimmed(store)
        lineage = tuple(epoch.epoch for epoch in store.lineage().epochs)
        rows = sources.stored_rows(store.path)
        bad_crc = _bad_crc(device.directory)
        life.append(store, FRESH_SAMPLES)
    life.power_cycle(0xC2)
    with device.start() as store:
        told += [happening.name for happening in store.happenings()]
        again = {row.key: row for row in sources.stored_rows(store.path)}
        unstable = sum(again.get(row.key) != row for row in rows)
        life.append(store, FRESH_SAMPLES)
        drained = life.ship(store, Upkeep(store), STEPS_MAX)
        told += [happening.name for happening in store.happenings()]
    return Outcome(
        trimmed=trimmed,
        exposed=exposed,
        lineage=lineage,
        rows=tuple(rows),
        bad_crc=bad_crc,
        unstable=unstable,
        arrived=life.arrived(),
        aside=_aside(device.directory),
        happenings=tuple(told),
        drained=drained,
    )


def _prepare(path: Path, kind: str, supported: int) -> None:
    """Like the product's, and quick where there is nothing yet."""
    prepare_quickly(path, kind, supported)
    prepare_here(path, kind, supported)


def _salvage(store: SpoolStore) -> None:
    upkeep = Upkeep(store)
    for _ in range(_SALVAGE_RUNS_MAX):
        if not upkeep.run().salvaging:
            return
    raise SpoolError("the salvage does not end", op="salvage", path=str(store.path))


def _trimmed(store: SpoolStore) -> Mark | None:
    with store.reading("trimmed") as connection:
        found = tables.read_trimmed(connection)
    return None if found is None else Mark(found.epoch, found.seq)


def _exposed(directory: Path) -> Mark | None:
    try:
        state = read_ship_state(directory)
    except ShipStateUnreadable:
        return None
    return None if state is None else state.exposed


def _bad_crc(directory: Path) -> int:
    return sum(
        row_crc(row.origin.epoch, row.seq, row.values) != row.crc
        for row in drain(SpoolReader(directory))
    )


def _aside(directory: Path) -> frozenset[tuple[str, str, int]]:
    """Keys of the samples in files that were set aside, as far as they can be read."""
    found: set[tuple[str, str, int]] = set()
    for path in directory.glob("aside/*/spool.db"):
        with (
            contextlib.suppress(sqlite3.Error, ThermalError),
            contextlib.closing(open_reader(path)) as connection,
        ):
            found |= set(connection.execute(_KEYS).fetchall())
    return frozenset(found)


_KEYS: Final = """
    select (select install_id from install), e.epoch, r.seq from readings r
    join origins o on o.ord = r.origin join epochs e on e.ord = o.epoch_ord
    where r.kind = 'sample'
"""
