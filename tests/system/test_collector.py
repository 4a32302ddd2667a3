"""The installed collector as a process, on a bus that is a file: rows, faults, signals, figures."""

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ExitCode
from common.spool.reader import SpoolReader
from common.spool.row import INDEX
from tests.demo.bus import FuseBus, write_faults
from tests.demo.material import Places
from tests.demo.process import Program
from tests.system.collector_bench import INTERVAL_S, runtime, settings
from tests.system.support import COLLECTOR, needs_file_bus, run, until

HEAVY_IMPORTS = (
    "requests", "jwt", "cryptography", "tenacity", "sqlite_utils", "urllib3", "asyncio",
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Directories and settings of a device whose bus is not there."""
    made = Places(tmp_path, tmp_path / "run")
    made.make()
    settings(made, "/dev/no-bus")
    return made


@pytest.fixture
def bus(places: Places) -> Iterator[FuseBus]:
    """The bus as a file, and settings that name it."""
    settings(places, str(places.bus))
    made = FuseBus(places)
    made.start()
    yield made
    made.end()


@pytest.fixture
def collector(places: Places, bus: FuseBus) -> Iterator[Program]:
    """The collector, not yet started; ended with the test."""
    command = [*bus.collector(), "run", "--config", places.config]
    program = Program("collector", command, places.log("collector"), runtime(places))
    yield program
    program.end()


def rows(places: Places) -> list[dict[str, Any]]:
    """All rows of the spool by column name."""
    with SpoolReader(places.spool) as reader:
        if reader.newest() is None:
            return []
        stored = reader.read_after(None, 100_000)
    return [
        {name: row.values[at] for name, at in INDEX.items()} | {"seq": row.seq} for row in stored
    ]


def samples(places: Places) -> list[dict[str, Any]]:
    """Rows of kind sample; none before there is a spool."""
    if not (places.spool / "spool.db").exists():
        return []
    try:
        return [row for row in rows(places) if row["kind"] == "sample"]
    except Exception:  # noqa: BLE001 - the spool is being made just now
        return []


def statuses(row: dict[str, Any]) -> dict[str, str]:
    """The row's status by sensor."""
    told: dict[str, str] = json.loads(row["sensor_status"])
    return told


@needs_file_bus
def test_rows_appear_and_a_stop_is_clean(places: Places, collector: Program) -> None:
    """All three chips give values; SIGTERM stores what is left, notes the clean stop, exits 0."""
    collector.start()
    until(lambda: any(set(statuses(r).values()) == {"ok"} for r in samples(places)), 30.0)
    assert collector.end(10.0) == 0
    stored = samples(places)
    good = next(r for r in stored if set(statuses(r).values()) == {"ok"})
    assert 350 < good["scd4x_co2_ppm"] < 2500
    assert 90_000 < good["icp10125_pressure_pa"] < 105_000
    assert good["quality"] == "VALID"
    assert [r["seq"] for r in rows(places)] == list(range(1, len(rows(places)) + 1))
    with sqlite3.connect(places.spool / "spool.db") as connection:
        state = dict(connection.execute("SELECT key, value FROM state").fetchall())
    connection.close()
    assert state["clean_stop"] == "1"
    said = collector.log.read_text()
    for words in (
        "PRODUCTION MODE: Real sensors required and enforced",
        "Physical sensors initialized successfully",
        "[OK] Sensor verification passed - physical sensors available",
    ):
        assert said.count(words) == 1


@needs_file_bus
def test_a_dead_chip_is_null_and_comes_back(places: Places, collector: Program) -> None:
    """While the SCD4x does not answer its columns are NULL, the ICP goes on, and it recovers."""
    collector.start()
    until(lambda: any(r["scd4x_co2_ppm"] is not None for r in samples(places)), 30.0)
    write_faults(places, "nack@0x62")
    until(lambda: statuses(samples(places)[-1])["scd4x"] in ("nack", "absent"))
    dead_from = samples(places)[-1]["seq"]
    until(lambda: samples(places)[-1]["seq"] >= dead_from + 10)
    dead = [r for r in samples(places) if r["seq"] > dead_from]
    assert all(r["scd4x_co2_ppm"] is None for r in dead)
    assert any(r["icp10125_pressure_pa"] is not None for r in dead)
    write_faults(places, "ok")
    healed_from = samples(places)[-1]["seq"]
    until(
        lambda: any(
            r["scd4x_co2_ppm"] is not None for r in samples(places) if r["seq"] > healed_from
        ),
        60.0,
    )


@needs_file_bus
def test_a_kill_leaves_one_gap_row_that_counts_it(places: Places, collector: Program) -> None:
    """After kill -9 the next start counts the ticks never stored: rows + gap = time / interval."""
    collector.start()
    until(lambda: len(samples(places)) > 20, 30.0)
    collector.signal(signal.SIGKILL)
    collector.wait(5.0)
    before = samples(places)[-1]
    time.sleep(2.0)
    collector.start()
    until(lambda: samples(places)[-1]["seq"] > before["seq"] + 10, 30.0)
    assert collector.end(10.0) == 0
    after = [r for r in rows(places) if r["seq"] > before["seq"]]
    gaps = [json.loads(r["detail"]) for r in after if r["kind"] == "gap"]
    assert [g["reason"] for g in gaps] == ["killed"]
    first = next(r for r in after if r["kind"] == "sample")
    passed = (first["boottime_ns"] - before["boottime_ns"]) / 1e9 / INTERVAL_S
    assert gaps[0]["count"] + 1 == pytest.approx(passed, abs=1.5)
    assert gaps[0]["count"] >= 9


@needs_file_bus
def test_a_clean_restart_is_not_called_a_kill(places: Places, collector: Program) -> None:
    """Negative control of the above: after SIGTERM the reason is that it was not running."""
    collector.start()
    until(lambda: len(samples(places)) > 5, 30.0)
    assert collector.end(10.0) == 0
    time.sleep(1.5)
    collector.start()
    until(lambda: any(r["kind"] == "gap" for r in rows(places)), 30.0)
    reasons = [json.loads(r["detail"])["reason"] for r in rows(places) if r["kind"] == "gap"]
    assert reasons == ["not_running"]


@needs_file_bus
def test_a_second_collector_is_refused(places: Places, bus: FuseBus, collector: Program) -> None:
    """Status 75, naming the first; probe and read are refused likewise, check is not."""
    collector.start()
    until(lambda: len(samples(places)) > 1, 30.0)
    second = run(*bus.collector(), "run", "--config", places.config, environment=runtime(places))
    assert second.returncode == ExitCode.TEMPFAIL
    assert f"process {collector.pid}" in second.stderr
    for word in ("probe", "read"):
        refused = run(*bus.collector(), word, "--config", places.config)
        assert refused.returncode == ExitCode.TEMPFAIL, refused.stdout + refused.stderr
        assert "the running collector samples this bus" in refused.stderr
    checked = run(*bus.collector(), "check", "--config", places.config)
    assert checked.returncode == 0, checked.stdout
    assert "left alone" in checked.stdout
    assert collector.pid is not None


@needs_file_bus
def test_no_sensors_is_status_69_with_the_known_words(places: Places, bus: FuseBus) -> None:
    """Nobody answers: the sentence, what was seen, and a spool that is settled all the same."""
    write_faults(places, "nack")
    done = run(*bus.collector(), "run", "--config", places.config, environment=runtime(places))
    assert done.returncode == ExitCode.UNAVAILABLE
    assert (
        "Error: PRODUCTION MODE FAILED: No sensors initialized. "
        "At least SCD4X or ICP10125 must be available."
    ) in done.stderr
    assert "does not answer" in done.stderr
    with SpoolReader(places.spool) as reader:
        assert reader.install().install_id


@needs_file_bus
def test_probe_and_read_tell_what_is_there(places: Places, bus: FuseBus) -> None:
    """``probe`` names the three chips, ``read`` gives a value of each required one, as JSON too."""
    probed = run(*bus.collector(), "probe", "--config", places.config, "--json")
    told = json.loads(probed.stdout)
    assert (probed.returncode, told["ok"]) == (0, True)
    assert told["sensors"]["scd4x"]["description"].startswith("SCD41 serial")
    read = run(*bus.collector(), "read", "--config", places.config, "--json", limit_s=60.0)
    values = json.loads(read.stdout)["sensors"]
    assert values["icp10125"]["icp10125_pressure_pa"]["status"] == "ok"
    assert values["scd4x"]["scd4x_co2_ppm"]["value"] > 300


def test_a_missing_bus_says_which_and_what_to_do(places: Places) -> None:
    """Status 69 for a device that is not there, with the way to enable it."""
    done = run(COLLECTOR, "run", "--config", places.config, environment=runtime(places))
    assert done.returncode == ExitCode.UNAVAILABLE
    assert "/dev/no-bus" in done.stderr
    assert "Try: enable I2C" in done.stderr


def test_check_goes_on_to_the_bus_and_says_what_is_wrong(places: Places) -> None:
    """Every stage has its line; the status is the first failure's."""
    done = run(COLLECTOR, "check", "--config", places.config)
    lines = done.stdout.splitlines()
    assert done.returncode == ExitCode.UNAVAILABLE
    assert [line.split(":")[0] for line in lines if line.startswith("[")] == [
        "[OK]   config", "[OK]   spool", "[OK]   clock", "[FAIL] bus",
    ]
    assert "(bus.bus_gone)" in done.stdout
    asked = run(COLLECTOR, "check", "--config", places.config, "--json")
    told = json.loads(asked.stdout)
    assert (told["ok"], told["stages"][-1]["code"]) == (False, "bus.bus_gone")


def test_the_collector_imports_nothing_of_the_network() -> None:
    """All of its modules together bring in none of the heavy packages."""
    script = (
        "import sys, collector.app, collector.metrics, collector.bus.linux, common.metrics\n"
        f"print([m for m in {HEAVY_IMPORTS!r} if m in sys.modules])"
    )
    done = run(sys.executable, "-c", script)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
