"""Lives that are cut short everywhere: each goes through one of the product's delicate moments."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from collector.spool.options import Limits
from collector.spool.store import SpoolStore
from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from common.database import SpoolReplaced
from common.errors import SpoolError
from common.identity import Hardware
from tests.emulators.disk.faults import Faults
from tests.faults.card.enumeration import Judge
from tests.faults.card.judge import judge_honest, judge_lying
from tests.faults.card.life import STORING, Life
from tests.tools.spools import damage, forget_clean_stop

Begin = Callable[[], None]
_NOTHING: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, and how it is looked at.

    Attributes:
        happens: does it; calls its second argument where the cuts begin.
        limits: of the spool.
        every: cut at every so many-th boundary.
        judge: the verdict.
        alarms: what a start may tell the log that an honest card must not bring about otherwise.
    """

    happens: Callable[[Life, Begin], None]
    limits: Limits = STORING
    every: int = 1
    judge: Judge = judge_honest
    alarms: frozenset[str] = _NOTHING


def first_start(life: Life, begin: Begin) -> None:
    """No directory yet: it, the tables, the install, the first epoch, the first rows."""
    begin()
    with life.device.start() as store:
        life.append(store, 1)
        life.append(store, 3)


def groups(life: Life, begin: Begin) -> None:
    """Commits of one row and of many, with checkpoints between them."""
    with life.device.start() as store:
        begin()
        for count in (1, 2, 6, 1, 1, 30, 1, 4, 1, 1, 12, 1):
            life.append(store, count)


def checkpoints(life: Life, begin: Begin) -> None:
    """Each commit is followed by a checkpoint; then the log begins anew."""
    with life.device.start() as store:
        life.append(store, 40)
        begin()
        for count in (1, 20, 3, 1):
            life.append(store, count)
            life.checkpoint(store)


def shipping(life: Life, begin: Begin) -> None:
    """The shipper's first start, exposures and acknowledgements among new rows."""
    with life.device.start() as store:
        life.append(store, 6)
        begin()
        for count in (4, 1, 9):
            assert life.ship(store)
            life.append(store, count)
        assert life.ship(store)


def trimming(life: Life, begin: Begin) -> None:
    """What is acknowledged goes; one row stays."""
    with life.device.start() as store:
        upkeep = Upkeep(store)
        life.append(store, 60)
        assert life.ship(store)
        begin()
        for count in (30, 5):
            assert upkeep.run().trimmed
            life.append(store, count)
            assert life.ship(store)
        assert upkeep.run().trimmed
        life.append(store, 1)


def thinning(life: Life, begin: Begin) -> None:
    """Rows that were never sent are thinned; those that left before are not touched."""
    with life.device.start() as store:
        life.append(store, 12)
        assert life.ship(store)
        exposed = store.last_seq
        life.append(store, 400)
        begin()
        assert thin(store, exposed, 2)
        life.append(store, 2)
        assert thin(store, exposed, 2)


def boots(life: Life, begin: Begin) -> None:
    """Starts after a clean stop, in the same boot and in later ones."""
    with life.device.start() as store:
        life.append(store, 5)
    begin()
    for boot in (0, 1, 2):
        if boot:
            life.power_cycle(boot)
        with life.device.start() as store:
            life.append(store, 2)
            assert boot == 0 or life.ship(store)


def new_card(life: Life, begin: Begin) -> None:
    """The files of another card: a new install, the old file aside; shipping goes on."""
    with life.device.start() as store:
        life.append(store, 5)
        assert life.ship(store)
        life.append(store, 3)
    begin()
    life.power_cycle(1)
    life.device.hardware = Hardware("board-2", "card-2")
    with life.device.start() as store:
        life.append(store, 4)
        assert life.ship(store)


def requests(life: Life, begin: Begin) -> None:
    """The shipper asks for an epoch; the collector honours it, and shipping goes on."""
    with life.device.start() as store:
        life.append(store, 5)
        assert life.ship(store)
        begin()
        with life.device.ledger() as ledger:
            ledger.request("new_epoch", "test")
            ledger.add_event("channel_recreated", "{}", life.device.clock.realtime_ns())
        Upkeep(store).run()
        life.append(store, 3)
        assert life.ship(store, Upkeep(store))


def quarantine(life: Life, begin: Begin) -> None:
    """A page is destroyed: set aside, new file, salvage, shipping."""
    with life.device.start() as store:
        life.append(store, 120)
    path = life.device.directory / "spool.db"
    damage(path, range(path.stat().st_size // 4096 - 2, path.stat().st_size // 4096 - 1))
    forget_clean_stop(life.device)
    _sync(path)
    begin()
    life.power_cycle(1)
    with life.device.start() as store:
        life.append(store, 2)
        upkeep = Upkeep(store)
        while upkeep.run().salvaging:
            pass
        assert life.ship(store, upkeep)


def rescue(life: Life, begin: Begin) -> None:
    """Somebody deletes the open file: its rows are copied from the descriptor and carried over."""
    with life.device.start() as store:
        life.append(store, 8)
        assert life.ship(store)
        life.append(store, 4)
        begin()
        for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
            (life.device.directory / name).unlink()
        with pytest.raises(SpoolReplaced):
            life.append(store, 2)
        life.append(store, 2)
        upkeep = Upkeep(store)
        while upkeep.run().salvaging:
            pass
        assert life.ship(store, upkeep)


def full_disk(life: Life, begin: Begin) -> None:
    """No room: commits fail, the ballast is given up, rows are stored again."""
    with life.device.start() as store:
        life.append(store, 10)
        upkeep = Upkeep(store)
        upkeep.run()
        begin()
        used = sum(path.stat().st_size for path in life.device.directory.iterdir())
        life.fault(Faults(bytes_max=used + 32 * 1024))
        refused = _fill(life, store)
        upkeep.run()
        assert refused
        assert "ballast_given_up" in {told.name for told in store.happenings()}
        life.append(store, 6)
        life.fault(Faults())
        upkeep.run()
        assert life.ship(store)


def busy_day(life: Life, begin: Begin) -> None:
    """Everything that an ordinary day has: groups, shipping, trims, and one more boot."""
    begin()
    with life.device.start() as store:
        upkeep = Upkeep(store)
        for count in (3, 1, 8, 2):
            life.append(store, count)
            assert life.ship(store, upkeep)
            upkeep.run()
        life.append(store, 5)
    life.power_cycle(1)
    with life.device.start() as store:
        upkeep = Upkeep(store)
        for count in (1, 20, 2):
            life.append(store, count)
            assert life.ship(store, upkeep)
            upkeep.run()
        life.append(store, 4)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _fill(life: Life, store: SpoolStore) -> bool:
    """Store until it is refused."""
    for _ in range(30):
        try:
            life.append(store, 6)
        except SpoolError:
            return True
    return False


STORIES: Final[dict[str, Story]] = {
    "first_start": Story(first_start),
    "groups": Story(groups),
    "checkpoints": Story(checkpoints),
    "shipping": Story(shipping, every=2),
    "trimming": Story(trimming, limits=Limits(STORING.cap_bytes, retain_rows=1)),
    "thinning": Story(thinning, every=3),
    "boots": Story(boots, every=2),
    "new_card": Story(new_card, every=2, alarms=frozenset({"spool_set_aside"})),
    "requests": Story(requests, every=2),
    "quarantine": Story(quarantine, every=4, alarms=frozenset({"spool_set_aside"})),
    # The deleted rows are durable again only when the copy is; what a cut takes before is told.
    "rescue": Story(
        rescue, every=2, judge=judge_lying, alarms=frozenset({"spool_set_aside"})
    ),
    "busy_day": Story(busy_day, limits=Limits(STORING.cap_bytes, retain_rows=4), every=3),
    "full_disk": Story(full_disk, every=2),
}
