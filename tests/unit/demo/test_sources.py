"""The demo's own readers of the two database files, which use none of the product's code."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.demo.reconcile import reconcile
from tests.demo.rows import Key, microseconds
from tests.demo.sources import arrived_row, spool_counts, stored_rows

DDL = """
create table install (id integer, install_id text);
create table epochs (ord integer, epoch text, boot_id text);
create table origins (ord integer, epoch_ord integer, device_id text, hostname text,
                      collector_version text);
create table boots (boot_id text, realtime_offset_ns integer);
create table readings (seq integer primary key, origin integer, taken_at integer,
                       clock_synced integer, boottime_ns integer, scd4x_co2_ppm real, kind text,
                       quality text, sensor_status text, detail text, crc integer);
insert into install values (1, 'ABCDEF0123456789');
insert into epochs values (1, '9f3c00000000000e', 'b0071d');
insert into origins values (1, 1, 'demo', 'pi', '0.1.0');
insert into boots values ('b0071d', 1000000000000);
insert into readings values (1, 1, 5000001, 0, 2000000000, 512.5, 'sample', 'VALID',
                             '{"scd4x":"ok"}', null, 77);
insert into readings values (2, 1, 6000001, 1, 3000000000, null, 'sample', 'INVALID',
                             '{"scd4x":"nack"}', null, 78);
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool with two rows, the first taken before the clock was set."""
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(DDL)
    return path


def test_stored_rows_have_the_shape_of_arrived_ones(spool: Path) -> None:
    """What the spool holds in three tables is put together as it has to arrive."""
    first, second = stored_rows(spool)
    assert first.key == Key("ABCDEF0123456789", "9f3c00000000000e", 1)
    assert first.values == {
        "install_id": "ABCDEF0123456789", "boot_id": "b0071d", "device_id": "demo",
        "hostname": "pi", "collector_version": "0.1.0", "taken_at": 5_000_001,
        "clock_synced": False, "boottime_ns": 2_000_000_000, "scd4x_co2_ppm": 512.5,
        "kind": "sample", "quality": "VALID", "sensor_status": {"scd4x": "ok"}, "detail": None,
    }
    assert first.redated_us == 1_002_000_000
    assert second.values["scd4x_co2_ppm"] is None


def test_a_row_off_the_wire_equals_the_stored_one(spool: Path) -> None:
    """Times, booleans and JSON columns are brought to one form, and then compare equal."""
    stored = stored_rows(spool)
    wire = {
        "install_id": "ABCDEF0123456789", "epoch": "9f3c00000000000e", "seq": 2,
        "boot_id": "b0071d", "device_id": "demo", "hostname": "pi", "collector_version": "0.1.0",
        "taken_at": "1970-01-01T00:00:06.000001", "clock_synced": True,
        "boottime_ns": 3_000_000_000, "kind": "sample", "quality": "INVALID",
        "sensor_status": {"scd4x": "nack"}, "in_doubt": False,
    }
    redated = wire | {
        "seq": 1, "taken_at": "1970-01-01T00:16:42.000000Z", "boottime_ns": 2_000_000_000,
        "scd4x_co2_ppm": 512.5, "quality": "VALID", "sensor_status": json.dumps({"scd4x": "ok"}),
    }
    verdict = reconcile([], stored, [arrived_row(redated), arrived_row(wire)], 1_000_000_000)
    assert verdict.findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00.000001",
        "2026-11-20 12:00:00.000001Z",
        "2026-11-20T13:00:00.000001+01:00",
    ],
)
def test_times_on_the_wire(text: str) -> None:
    """All ways to write one instant are one number of microseconds."""
    assert microseconds(text) == 1_795_176_000_000_001


def test_counts_before_there_is_a_spool(tmp_path: Path, spool: Path) -> None:
    """The progress line starts before the collector has made its file."""
    assert spool_counts(tmp_path / "none.db") == (0, {})
    count, newest = spool_counts(spool)
    assert (count, newest["boottime_ns"]) == (2, 3_000_000_000)
