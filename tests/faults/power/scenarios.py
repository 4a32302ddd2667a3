"""What the services do to their files, in pieces small enough to be killed at each system call.

``before`` makes the state that a process finds. ``act`` is what the process does; like a service,
it does what is still to be done, so it can be repeated after any end. ``report`` in it tells what
the service would count as done from then on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.spool.options import Limits
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.identity import Hardware
from common.ship_state import Acknowledgement, Mark
from common.spool.reader import SpoolReader
from common.spool.row import INDEX, NewRow
from shipper.dead_letters import DeadLetter
from shipper.ledger import Ledger
from tests.faults.power.life import OTHER_BOOT, Life, Report, with_child
from tests.tools.spools import damage, leaf_pages, sample, samples

ROWS: Final = 60
FIRST_NEW: Final = 10_000
"""Number of the first sample that a scenario appends."""
LARGE: Final = 420
"""Rows of a page each: by themselves they fill the log to where it is carried over."""
PAGE_TEXT: Final = "x" * 3000
SMALL: Final = Limits(cap_bytes=2_700_000, retain_rows=1)
"""So small a cap that a thousand rows crowd it."""
OTHER_CARD: Final = Hardware("board-1", "card-2")
SALVAGE_STEPS: Final = 50


@dataclass(frozen=True, slots=True)
class Scenario:
    """One piece; see the module.

    Attributes:
        before: makes what the process finds.
        act: what it does.
        live: how the process is made.
        stride: of the points, so many are passed over for one that is tried; 1: all are tried.
    """

    before: Callable[[Life], None]
    act: Callable[[Life], None]
    live: Callable[[Path, Report], Life] = Life
    stride: int = 1

    @property
    def has_children(self) -> bool:
        """Whether the process starts others, of which one may die in its place."""
        return self.live is with_child


def _nothing(life: Life) -> None:
    """An empty disk."""


def _store_rows(life: Life, count: int = ROWS) -> SpoolStore:
    store = life.collector()
    for first in range(0, count, 20):
        store.append(samples(first, 20))
    return store


def _settled(life: Life, store: SpoolStore) -> Ledger:
    ledger = life.shipper()
    ledger.settle(store.install, life.clock.realtime_ns())
    return ledger


def _acknowledged(life: Life) -> None:
    """Rows of which the server has committed most."""
    store = _store_rows(life)
    ledger = _settled(life, store)
    ledger.expose(store.epoch, ROWS)
    token = Acknowledgement("token", store.epoch, ROWS - 10)
    ledger.acknowledge(token, rows_inserted=ROWS - 10, rows_error=0)


def _append(life: Life) -> None:
    """Groups are stored; each is reported once it is."""
    _groups(life, life.collector(), 4)


def _groups(life: Life, store: SpoolStore, count: int) -> None:
    """Store so many groups of two samples; those that are there already are left out."""
    for number in range(count):
        _group(life, store, samples(FIRST_NEW + 2 * number, 2))


def _group(life: Life, store: SpoolStore, group: list[NewRow]) -> None:
    with store.reading("there") as connection:
        there = set(connection.execute("SELECT boottime_ns FROM readings").fetchall())
    missing = [row for row in group if (row[INDEX["boottime_ns"]],) not in there]
    assert len(missing) in (0, len(group)), "half a group was stored"
    if missing:
        tell(life, store, store.append(missing), missing)


def tell(life: Life, store: SpoolStore, stored: range, rows: list[NewRow]) -> None:
    """Report rows as stored, with their keys and when they were taken."""
    taken = [row[INDEX["boottime_ns"]] for row in rows]
    life.report(json.dumps({"epoch": store.epoch, "first": stored[0], "taken": taken}))


def _checkpoint(life: Life) -> None:
    """The log is carried over into the database, between two groups."""
    store = life.collector()
    _groups(life, store, 1)
    Upkeep(store)._checkpoint()
    _groups(life, store, 3)


def _long_log(life: Life) -> None:
    """Groups so large that a commit itself carries the log over."""
    store = life.collector()
    _group(life, store, [sample(FIRST_NEW + i, detail=PAGE_TEXT) for i in range(LARGE)])
    _group(life, store, samples(FIRST_NEW + LARGE, 2))


def _trim(life: Life) -> None:
    """Upkeep with most rows acknowledged."""
    Upkeep(life.collector()).run()


def _crowded(life: Life) -> None:
    """More rows than the cap allows, none of them sent."""
    life.device.limits = SMALL
    store = life.collector()
    for first in range(0, 1600, 400):
        store.append(samples(first, 400))


def _thin(life: Life) -> None:
    """Upkeep has to make room."""
    life.device.limits = SMALL
    Upkeep(life.collector()).run()


def _next_boot(life: Life) -> None:
    """The machine booted anew; then one group is stored."""
    life.device.reboot()
    life.device.clock = type(life.device.clock)(boot_id=OTHER_BOOT)
    _groups(life, life.collector(), 1)


def _swap_card(life: Life) -> None:
    """The file lies on another card: a new install, and its first group."""
    life.device.hardware = OTHER_CARD
    _groups(life, life.collector(), 1)


def _requested(life: Life) -> None:
    """The shipper has asked for a new install."""
    store = _store_rows(life)
    _settled(life, store).request("new_install", "unexplained token")


def _honour(life: Life) -> None:
    """A running collector honours the request, and goes on storing."""
    store = life.collector()
    Upkeep(store).run()
    _groups(life, store, 1)


def _ledger(life: Life) -> None:
    """The shipper's writes from its start to an acknowledgement."""
    with SpoolReader(life.device.directory) as reader:
        install, epoch = reader.install(), reader.lineage().epochs[-1].epoch
    ledger = life.shipper()
    ledger.settle(install, life.clock.realtime_ns())
    ledger.retarget("account/pipe/channel", 1_792_000_000_000, Mark(epoch, 5))
    ledger.expose(epoch, 30)
    life.report(json.dumps({"exposed": 30}))
    letter = DeadLetter("range", epoch, 11, 20, "refused", "said the server", b"{}\n", 1)
    ledger.acknowledge(
        Acknowledgement("token", epoch, 30), rows_inserted=29, rows_error=1, held=[letter]
    )
    life.report(json.dumps({"acknowledged": 30}))


def _foreign_ledger(life: Life) -> None:
    """A spool beside the shipper's file of another install."""
    _acknowledged(life)
    life.device.directory.joinpath("spool.db").unlink()
    life.device.directory.joinpath("spool.db-wal").unlink()
    life.end()
    life.device.hardware = OTHER_CARD
    _store_rows(life)


def _settle_foreign(life: Life) -> None:
    """The shipper sets the foreign file aside, and begins its own."""
    with SpoolReader(life.device.directory) as reader:
        install = reader.install()
    life.shipper().settle(install, life.clock.realtime_ns())


def _damaged(life: Life) -> None:
    """A page of readings is damaged, and the stop was not clean."""
    _store_rows(life, 400)
    life.end()
    path = life.device.directory / "spool.db"
    pages = leaf_pages(path)
    damage(path, range(pages[2], pages[2] + 1))


def _quarantine(life: Life) -> None:
    """The file is set aside, what is readable is carried over, and sampling goes on."""
    store = life.collector()
    upkeep = Upkeep(store)
    for _ in range(SALVAGE_STEPS):
        if not upkeep.run().salvaging:
            break
    _groups(life, store, 1)


def _told(life: Life) -> None:
    """The shipper has something to tell the table."""
    ledger = _settled(life, _store_rows(life))
    for kind in ("channel_recreated", "in_doubt", "dead_letters"):
        ledger.add_event(kind, '{"why": "test"}', life.clock.realtime_ns())


def _copy_events(life: Life) -> None:
    """Upkeep copies the events into the spool."""
    Upkeep(life.collector()).run()


def _stop(life: Life) -> None:
    """One group, and a clean stop."""
    store = life.collector()
    _groups(life, store, 1)
    store.close()


def _store_some(life: Life) -> None:
    _store_rows(life)


SCENARIOS: Final[dict[str, Scenario]] = {
    "append": Scenario(_store_some, _append),
    "checkpoint": Scenario(_store_some, _checkpoint),
    "long log": Scenario(_store_some, _long_log, stride=32),
    "trim": Scenario(_acknowledged, _trim),
    "thin": Scenario(_crowded, _thin, stride=2),
    "make tables": Scenario(_nothing, _append),
    "make tables in a child": Scenario(_nothing, _append, with_child),
    "new boot": Scenario(_store_some, _next_boot),
    "new card": Scenario(_store_some, _swap_card),
    "requested install": Scenario(_requested, _honour),
    "ledger": Scenario(_store_some, _ledger),
    "foreign ledger": Scenario(_foreign_ledger, _settle_foreign),
    "quarantine": Scenario(_damaged, _quarantine),
    "event copy": Scenario(_told, _copy_events),
    "clean stop": Scenario(_store_some, _stop),
}
