"""What may leave: positions, both files' word, and never the last row (rules 4 and 7)."""

from pathlib import Path

import pytest

from collector.spool import trimming
from collector.spool.licence import EVERYTHING, Licence, exposed_through, licence
from collector.spool.upkeep import Upkeep
from common.identity import Epoch, Hardware, Install, Lineage
from common.ship_state import Acknowledgement, Mark, ShipState
from tests.tools.spools import Device, drain, samples

A, B, C = "aa" * 8, "bb" * 8, "cc" * 8
INSTALL = Install("1" * 16, Hardware("b", "c"))
LINEAGE = Lineage(
    (Epoch(1, A, None, "x", 1, 10), Epoch(2, B, A, "y", 11, 20), Epoch(3, C, B, "z", 21, 30))
)


@pytest.mark.parametrize(
    ("epoch", "seq", "through"),
    [(A, 5, 5), (B, 15, 15), (C, 30, 30), (A, 10, 10), (A, 25, 10), (B, 99, 20), ("dd" * 8, 25, 0)],
)
def test_rule_04_an_acknowledgement_covers_its_epoch_only(
    epoch: str, seq: int, through: int
) -> None:
    """A token of a tail that the card lost covers that epoch, not a later epoch's equal numbers."""
    granted = licence(LINEAGE, Acknowledgement("t", epoch, seq))
    assert granted.through == through


def test_rule_04_counter_example(tmp_path: Path) -> None:
    """The server has seq 5 of an epoch that lost its tail at 3: the next epoch's 4 and 5 stay."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
        first = store.epoch
    device.reboot()
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(3, 4))
        ledger.settle(store.install, 0)
        ledger.acknowledge(Acknowledgement("t", first, 5), rows_inserted=5, rows_error=0)
        Upkeep(store).run()
        assert [row.seq for row in drain(device.reader())] == [3, 4, 5, 6, 7]
        trimming.trim(store, Licence(Acknowledgement("t", first, 5), 5), 1)
        rest = [row.seq for row in drain(device.reader())]
        assert rest == [5, 6, 7], "negative control: by seq alone, a row never sent is deleted"


def test_rule_07_the_greater_acknowledgement_of_both_files_counts() -> None:
    """By position: an older epoch's greater number is not greater."""
    spool, ship = Acknowledgement("s", B, 12), Acknowledgement("h", A, 99)
    assert licence(LINEAGE, ship, spool).acknowledgement == spool
    assert licence(LINEAGE, spool, None).acknowledgement == spool
    assert licence(LINEAGE, None, None) == Licence()


def test_rule_07_a_trim_stores_the_acknowledgement_that_it_used(tmp_path: Path) -> None:
    """A lost ship.db does not make trimmed rows look as if they had never been sent."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 50))
        ledger.settle(store.install, 0)
        acknowledgement = Acknowledgement("token", store.epoch, 40)
        ledger.acknowledge(acknowledgement, rows_inserted=40, rows_error=0)
        report = Upkeep(store).run()
        assert report.trimmed == 39
        assert device.reader().trimmed() == acknowledgement
        assert [row.seq for row in drain(device.reader())] == list(range(40, 51))


def test_rule_07_an_unreadable_ship_db_stops_trimming_and_alarms(tmp_path: Path) -> None:
    """Everything counts as exposed; the log is told once."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 50))
        (device.directory / "ship.db").write_bytes(b"no database" * 500)
        store.happenings()
        upkeep = Upkeep(store)
        first, second = upkeep.run(), upkeep.run()
        assert first.ship_unreadable
        assert second.ship_unreadable
        assert [h.name for h in store.happenings()] == ["ship_state_unreadable"]
        assert len(drain(device.reader())) == 50


def test_the_last_committed_row_stays(tmp_path: Path) -> None:
    """The greatest seq of the file must never fall, so something must carry it."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 50))
        ledger.settle(store.install, 0)
        acknowledgement = Acknowledgement("t", store.epoch, 50)
        ledger.acknowledge(acknowledgement, rows_inserted=50, rows_error=0)
        Upkeep(store).run()
        assert [row.seq for row in drain(device.reader())] == [50]
    with device.start() as store:
        assert store.append(samples(50, 1)) == range(51, 52)


def test_retained_rows_are_counted_not_computed(tmp_path: Path) -> None:
    """Holes in the numbers do not make fewer rows stay than were asked for."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 200))
        with store.reading("holes") as connection:
            connection.execute("DELETE FROM readings WHERE seq % 2 = 1")
        granted = Licence(Acknowledgement("t", store.epoch, 200), 200)
        trimming.trim(store, granted, 30)
        assert [row.seq for row in drain(device.reader())] == list(range(142, 201, 2))


def test_a_long_trim_goes_in_short_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An acknowledgement of a month's rows does not make one huge log."""
    monkeypatch.setattr(trimming, "TRIM_ROWS", 100)
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 1000))
        granted = Licence(Acknowledgement("t", store.epoch, 950), 950)
        assert trimming.trim(store, granted, 1) == 949
        assert trimming.trim(store, granted, 1) == 0
        assert len(drain(device.reader())) == 51


def _ship(**values: object) -> ShipState:
    return ShipState(install_id=INSTALL.install_id, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ship", "trimmed", "through"),
    [
        (None, None, 0),
        (None, Acknowledgement("t", A, 5), EVERYTHING),
        (_ship(), None, 0),
        (_ship(), Acknowledgement("t", A, 5), EVERYTHING),
        (_ship(exposed=Mark(B, 15)), None, 15),
        (_ship(exposed=Mark(B, 99)), None, 20),
        (_ship(exposed=Mark("dd" * 8, 99)), None, 20),
        (ShipState(install_id="2" * 16, exposed=Mark(B, 15)), None, EVERYTHING),
    ],
)
def test_what_counts_as_exposed(
    ship: ShipState | None, trimmed: Acknowledgement | None, through: int
) -> None:
    """A lost or foreign ship.db exposes everything; a lost epoch all before the newest."""
    assert exposed_through(INSTALL, LINEAGE, ship, trimmed) == through
