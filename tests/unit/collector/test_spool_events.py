"""The shipper's events become rows once each, by set difference (rule 21)."""

import shutil
from pathlib import Path

from collector.spool import events
from collector.spool.upkeep import Upkeep
from common.ship_state import read_ship_state
from tests.tools.spools import Device, drain, value

DAY_NS = 86_400 * 10**9


def _told(device: Device) -> list[str]:
    return [str(value(r, "detail")) for r in drain(device.reader()) if value(r, "kind") == "event"]


def test_rule_21_an_event_is_copied_once_however_often_upkeep_runs(tmp_path: Path) -> None:
    """The id decides, not a cursor; the row's position is known to the shipper."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.add_event("channel_recreated", '{"created_on_ms":5}', DAY_NS)
        upkeep = Upkeep(store)
        assert [upkeep.run().events for _ in range(3)] == [1, 0, 0]
        assert len(_told(device)) == 1
        assert '"event":"channel_recreated"' in _told(device)[0]
        copied = device.reader().copied_events()
        assert [position.seq for position in copied.values()] == [store.last_seq]
        ledger.drop_copied_events(copied)
        assert ledger.events.closed() == ()


def test_rule_21_an_older_ship_db_brings_no_event_twice(tmp_path: Path) -> None:
    """ship.db rolled back to before the drop: the spool remembers the ids."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.add_event("held", "{}", DAY_NS)
        ledger.close()
        shutil.copy(device.directory / "ship.db", tmp_path / "older")
        Upkeep(store).run()
        ledger.drop_copied_events(device.reader().copied_events())
        ledger.close()
        shutil.copy(tmp_path / "older", device.directory / "ship.db")
        assert Upkeep(store).run().events == 0
        assert len(_told(device)) == 1


def test_rule_21_negative_control_a_cursor_misses_an_event(tmp_path: Path) -> None:
    """By a cursor over time, an event that began early and was closed late is skipped."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.add_event("throttled", "{}", DAY_NS)
        ledger.add_event("throttled", "{}", DAY_NS + 1000)
        ledger.add_event("other", "{}", DAY_NS + 2000)
        Upkeep(store).run()
        ship = read_ship_state(device.directory)
        assert ship is not None
        cursor = max(event.first_at for event in ship.events)
        ledger.close_events(2 * DAY_NS)
        ship = read_ship_state(device.directory)
        assert ship is not None
        assert [e for e in ship.events if e.first_at > cursor] == []
        assert Upkeep(store).run().events == 1
        assert len(_told(device)) == 3


def test_rule_21_ids_are_forgotten_only_when_many_are_newer(tmp_path: Path) -> None:
    """The list of ids is bounded, and an event that the shipper still names is never forgotten."""
    device = Device(tmp_path)
    keep = events.IDS_KEPT
    with device.start() as store, device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.add_event("first", "{}", DAY_NS)
        Upkeep(store).run()
        with store.transaction("test") as connection:
            connection.executemany(
                "INSERT INTO events (id, seq) VALUES (?, ?)",
                [(f"made-up-{i}", 10 + i) for i in range(keep + 50)],
            )
        ledger.add_event("second", "{}", DAY_NS)
        Upkeep(store).run()
        assert len(_told(device)) == 2
        with store.reading("test") as connection:
            count = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        assert count == keep + 2, "the newest, and the two that the shipper names"
