"""Room at the cap: thinned evenly, told in one row, nothing that left is touched (rules 19, 20)."""

import json
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from collector.gaps import Gap, GapReason, gap_row
from collector.spool import disk, thinning
from collector.spool.budget import Usage, ballast_bytes, is_crowded, page_limit, pages_to_free
from collector.spool.disk import Ballast
from collector.spool.options import Limits
from collector.spool.store import SpoolStore
from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from collector.stamp import read_stamp, utc_text
from common.columns import Scalar
from common.database import SpoolFull
from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK, Acknowledgement
from common.spool.row import INDEX, StoredRow
from tests.tools.spools import Device, drain, samples, value

ROWS = 12_000


def _details(rows: list[StoredRow], reason: str) -> list[dict[str, object]]:
    found = [json.loads(str(value(r, "detail"))) for r in rows if value(r, "kind") == "gap"]
    return [detail for detail in found if detail["reason"] == reason]


def _taken(values: tuple[Scalar, ...]) -> str:
    """When a row was taken, as details say it."""
    return str(utc_text(int(values[INDEX["taken_at"]] or 0) * 1000))


def _pages(store: SpoolStore) -> tuple[int, int]:
    with store.reading("test") as connection:
        return (
            connection.execute("PRAGMA page_count").fetchone()[0],
            connection.execute("PRAGMA freelist_count").fetchone()[0],
        )


def test_rule_19_a_pass_frees_pages_and_tells_in_one_row(tmp_path: Path) -> None:
    """Every second of the oldest rows goes; kept ones stay the same; one gap row tells."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, ROWS))
        before = {row.seq: row for row in drain(device.reader(), batch=1000)}
        done = thin(store, 0, 100)
        assert done is not None
        assert done.freed_pages >= 100
        rows = drain(device.reader(), batch=1000)
    told = _details(rows, "thinned")
    assert len(told) == 1
    kept = [row for row in rows if value(row, "kind") == "sample"]
    assert all(before[row.seq] == row and row.intact for row in kept)
    assert told[0]["count"] == ROWS - len(kept) == done.rows
    gone = sorted(before.keys() - {row.seq for row in kept})
    assert gone == list(range(1, gone[-1] + 1, 2)), "every second row of the oldest stretch"
    assert (told[0]["first_seq"], told[0]["last_seq"]) == (1, gone[-1])


def test_rule_19_negative_control_deleting_in_place_frees_nothing(tmp_path: Path) -> None:
    """Every 2nd row deleted where it stands: half of the rows are gone and not one page is free."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, ROWS))
        with store.transaction("control") as connection:
            connection.execute("DELETE FROM readings WHERE seq % 2 = 1")
        assert _pages(store)[1] < 5


def test_rule_19_passes_thin_evenly_and_go_on_where_they_ended(tmp_path: Path) -> None:
    """After many passes the oldest and the newest rows differ by one step of thinning at most."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, ROWS))
        for _ in range(5):
            assert thin(store, 0, 40) is not None
        seqs = [r.seq for r in drain(device.reader()) if value(r, "kind") == "sample"]
    steps = {b - a for a, b in pairwise(seqs)}
    assert steps <= {1, 2} or steps <= {2, 4}


def test_rule_19_gap_and_event_rows_are_never_thinned(tmp_path: Path) -> None:
    """They are few, and they are what explains the rest."""
    device = Device(tmp_path)
    with device.start() as store:
        gap = gap_row(Gap(GapReason.QUARANTINE, 3, 7, 9), read_stamp(device.clock))
        for i in range(0, ROWS, 1000):
            store.append([*samples(i, 999), gap])
        thin(store, 0, 150)
        kinds = [str(value(row, "kind")) for row in drain(device.reader(), batch=1000)]
    assert kinds.count("gap") == ROWS // 1000 + 1
    assert kinds.count("sample") < ROWS


def test_rule_19_a_drop_merges_the_gap_rows_it_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing is left to thin, the oldest rows go whole, and no count is lost."""
    monkeypatch.setattr(thinning, "STRIDE_MAX", 1)
    device = Device(tmp_path)
    with device.start() as store:
        gap = gap_row(Gap(GapReason.THINNED, 5, 7, 12), read_stamp(device.clock))
        store.append([*samples(0, 500), gap, *samples(500, ROWS)])
        done = thin(store, 0, 100)
        assert done is not None
        assert done.reason is GapReason.DROPPED
        rows = drain(device.reader(), batch=1000)
    told = _details(rows, "dropped")
    assert len(told) == 1
    kept = [row for row in rows if value(row, "kind") == "sample"]
    assert told[0]["count"] == ROWS + 500 - len(kept) + 5
    assert told[0]["merged"] == {"thinned": 5, "dropped": ROWS + 500 - len(kept)}
    assert _details(rows, "thinned") == []
    assert told[0]["from"] == _taken(samples(0, 1)[0])
    assert str(told[0]["from"]) < str(told[0]["to"]) < _taken(kept[0].values)


def test_exposed_rows_are_never_thinned(tmp_path: Path) -> None:
    """What may be on the server already must not be told as gone."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, ROWS))
        thin(store, 4000, 60)
        seqs = [row.seq for row in drain(device.reader(), batch=1000)]
    assert seqs[:4000] == list(range(1, 4001))


def _crowd(device: Device, store: SpoolStore) -> int:
    """Fill the spool up to its cap through upkeep, as a month without network does."""
    upkeep, stored = Upkeep(store), 0
    for i in range(0, 60_000, 500):
        store.append(samples(i, 500))
        stored += 500
        upkeep.run()
        size = sum(f.stat().st_size for f in device.directory.iterdir() if f.is_file())
        assert size <= device.limits.cap_bytes
    return stored


def test_rule_19_months_offline_stay_within_the_cap_and_every_row_is_accounted(
    tmp_path: Path,
) -> None:
    """Rows kept plus rows told as gone are the rows stored, and the directory keeps to its cap."""
    device = Device(tmp_path, limits=Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0))
    with device.start() as store:
        stored = _crowd(device, store)
        rows = drain(device.reader(), batch=1000)
    kept = sum(1 for row in rows if value(row, "kind") == "sample")
    told = sum(d["count"] for d in _details(rows, "thinned"))  # type: ignore[misc]
    assert kept + told == stored
    assert kept < stored
    first = next(row for row in rows if value(row, "kind") == "sample")
    assert first.seq <= 4, "the oldest stretch is still there, coarser"


def test_rule_20_thinning_only_tries_the_exposure_lock(tmp_path: Path) -> None:
    """While the shipper reads and stores exposed, the collector neither thins nor waits."""
    device = Device(tmp_path, limits=Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0))
    with device.start() as store:
        store.append(samples(0, 48_000))
        upkeep = Upkeep(store)
        with FileLock(device.directory / EXPOSURE_LOCK):
            assert upkeep.run().thinned is None
        assert upkeep.run().thinned is not None


def test_rule_20_what_was_exposed_meanwhile_is_respected(tmp_path: Path) -> None:
    """Exposed is read under the lock: rows that left a moment ago are not thinned."""
    device = Device(tmp_path, limits=Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0))
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 48_000))
        ledger.settle(store.install, 0)
        ledger.expose(store.epoch, 20_000)
        Upkeep(store).run()
        seqs = [row.seq for row in drain(device.reader(), batch=1000)]
    assert seqs[:20_000] == list(range(1, 20_001))


def test_committed_rows_go_before_any_thinning(tmp_path: Path) -> None:
    """At the cap the rows retained for comfort are the first to go."""
    limits = Limits(cap_bytes=8 * 1024 * 1024, free_reserve_bytes=0, retain_rows=1_000_000)
    device = Device(tmp_path, limits=limits)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 48_000))
        ledger.settle(store.install, 0)
        ledger.expose(store.epoch, 20_000)
        ledger.acknowledge(
            Acknowledgement("t", store.epoch, 20_000), rows_inserted=20_000, rows_error=0
        )
        assert Upkeep(store).run().thinned is None
        seqs = [row.seq for row in drain(device.reader(), batch=1000)]
    assert seqs == list(range(20_000, 48_001))


def test_a_full_spool_gets_going_again_with_an_event_waiting(tmp_path: Path) -> None:
    """Room is made before anything is written: neither events nor a trim may stand in its way."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 48_000))
        ledger.settle(store.install, 0)
        ledger.add_event("throttled", "{}", 0)
        with store.reading("test") as connection:
            connection.execute("PRAGMA max_page_count=1").fetchall()
        with pytest.raises(SpoolFull):
            store.append(samples(48_000, 1000))
        report = Upkeep(store).run()
        assert report.thinned is not None
        assert report.events == 1
        assert len(store.append(samples(48_000, 1000))) == 1000


def test_the_limit_follows_cap_and_free_disk() -> None:
    """The cap counts everything in the directory; the reserve of free disk counts too."""
    limits = Limits(cap_bytes=64 << 20, free_reserve_bytes=10 << 20)
    roomy = Usage(pages=1000, free_pages=0, other_bytes=0, disk_free_bytes=1 << 40)
    assert page_limit(limits, roomy) == ((64 << 20) - (1 << 20) - (8 << 20)) // 4096
    tight = Usage(pages=1000, free_pages=100, other_bytes=0, disk_free_bytes=(10 << 20) + 40_960)
    assert page_limit(limits, tight) == 1010
    assert not is_crowded(1010, tight)
    assert is_crowded(1010, Usage(1000, 0, 0, 0))
    assert pages_to_free(limits, page_limit(limits, roomy)) * 4096 >= (64 << 20) // 10
    assert pages_to_free(limits, 700) == 100, "a disk filled by others does not cost all rows"
    assert ballast_bytes(Limits(cap_bytes=1 << 40)) == 4 << 20


def test_a_full_disk_takes_the_ballast_and_gets_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room the ballast goes, once, with an alarm; with room again it is restored."""
    free = 1 << 40
    real = disk.usage

    def pretending(connection: sqlite3.Connection, directory: Path) -> Usage:
        return replace(real(connection, directory), disk_free_bytes=free)

    monkeypatch.setattr(disk, "usage", pretending)
    device = Device(tmp_path)
    ballast = device.directory / "ballast"
    with device.start() as store:
        store.append(samples(0, 10))
        upkeep = Upkeep(store)
        upkeep.run()
        assert ballast.exists()
        free = 0
        store.happenings()
        upkeep.run()
        upkeep.run()
        assert not ballast.exists()
        assert [h.name for h in store.happenings() if h.alarm].count("ballast_given_up") == 1
        free = 1 << 40
        upkeep.run()
        assert ballast.exists()


def test_ballast_is_real_room(tmp_path: Path) -> None:
    """It takes blocks, gives them back, and a second time there is nothing to give."""
    ballast = Ballast(tmp_path, 1 << 20)
    assert ballast.take()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= 1 << 20
    assert ballast.give_up()
    assert not ballast.give_up()
