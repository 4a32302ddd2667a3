"""Hours and weeks without a usable server, in virtual time: nothing is lost, and it comes back."""

from pathlib import Path

import pytest

from tests.faults.server.bench import DAY_S, HOUR_S, INGEST_HOST, Bench, Setting, bench
from tests.faults.server.line import Trouble, refused, swallowed, unknown_name
from tests.faults.server.verdict import heal_and_judge

MINUTE = Setting(sample_s=60.0, care_s=60.0, seed=11)
BACK_S = 180.0
"""From the end of a fault of the network to the last acknowledgement: one wait of a minute, three
tries until the host is asked for anew, an open that waits for what is on its way."""


def calls_during(device: Bench, seconds: float) -> int:
    """Let it work, and count its requests and connections."""
    before = len(device.line.calls) + device.line.connections
    device.run(seconds)
    return len(device.line.calls) + device.line.connections - before


STORMS = ("unavailable:times=0", "storm:times=0", "storm:times=0,applied=1")


@pytest.mark.parametrize("spec", STORMS)
def test_a_storm_of_5xx_for_three_hours(room: Path, ca_file: Path, spec: str) -> None:
    """A request every half a minute on average, the reason shown; minutes later all is home."""
    with bench(room, ca_file, MINUTE) as device:
        device.run(60)
        device.forget()
        device.add(spec)
        assert 100 < calls_during(device, 3 * HOUR_S) < 1000
        assert any("waiting:" in text for text in device.said)
        assert heal_and_judge(device) < BACK_S


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (refused, "connection refused"),
        (unknown_name, "the name was not resolved"),
        (swallowed, "no answer before the deadline"),
    ],
)
def test_a_network_that_is_away_for_two_hours(
    room: Path, ca_file: Path, trouble: Trouble, says: str
) -> None:
    """Refused, nameless or swallowed: tried for ever, never quickly, and told."""
    with bench(room, ca_file, MINUTE) as device:
        device.run(60)
        device.forget()
        device.line.troubles["*"] = trouble
        assert calls_during(device, 2 * HOUR_S) < 500
        assert any(says in text for text in device.said), sorted(device.said)
        assert heal_and_judge(device) < BACK_S


def test_a_captive_portal_for_six_hours(room: Path, ca_file: Path) -> None:
    """It answers 200 to everything; nothing is ever taken for delivered."""
    with bench(room, ca_file, Setting(sample_s=600.0, care_s=60.0, seed=3)) as device:
        device.run(1200)
        device.add("captive_portal:times=0")
        done = device.shipper.acknowledged()
        device.run(6 * HOUR_S, coarse_s=10.0)
        assert device.shipper.acknowledged() == done
        assert any("web_page" in text for text in device.said)
        assert heal_and_judge(device) < BACK_S


def test_an_ingest_host_that_moved_is_found(room: Path, ca_file: Path) -> None:
    """The old name does not resolve any more: the account host is asked for the new one."""
    with bench(room, ca_file, MINUTE) as device:
        device.run(120)
        device.service.hostname = "cd67890.ingest.eu.snowflakecomputing.com"
        device.line.troubles[INGEST_HOST] = unknown_name
        device.run(600)
        assert device.line.calls[-1].host == "cd67890.ingest.eu.snowflakecomputing.com"
        heal_and_judge(device)


def test_a_pipe_that_failed_over_is_found(room: Path, ca_file: Path) -> None:
    """410 by the old host for ever: host, token and channel anew, within seconds."""
    with bench(room, ca_file, MINUTE) as device:
        device.run(120)
        device.add("failed_over:endpoint=status")
        device.service.hostname = "cd67890.ingest.eu.snowflakecomputing.com"
        device.run(120)
        hosts = [call.host for call in device.line.calls]
        assert set(hosts[-5:]) == {"cd67890.ingest.eu.snowflakecomputing.com"}
        assert heal_and_judge(device) < BACK_S


@pytest.mark.parametrize("silently", [False, True])
def test_a_connection_that_is_closed_while_idle(
    room: Path, ca_file: Path, silently: bool
) -> None:
    """A close that is seen costs nothing; one that a box in between hides costs a retry."""
    with bench(room, ca_file, MINUTE) as device:
        device.run(120)
        device.line.idle_s, device.line.silently = 20.0, silently
        device.forget()
        device.run(HOUR_S)
        assert any("reset" in text for text in device.said) is silently
        assert device.line.connections > 20
        assert heal_and_judge(device) < BACK_S


def test_a_backlog_of_a_month_is_gone_in_minutes(room: Path, ca_file: Path) -> None:
    """It drains hundreds of times faster than a row every 5 s makes it grow."""
    with bench(room, ca_file, Setting(sample_s=5.0, seed=2)) as device:
        for _ in range(20):
            device.take(1000)
        start_s = device.clock.monotonic_s()
        assert device.until(lambda: device.store.last_seq - device.shipper.acknowledged() < 20)
        rate = 20_000 / (device.clock.monotonic_s() - start_s)
        assert rate > 20
        heal_and_judge(device)


def test_a_heartbeat_a_day_keeps_a_channel_for_a_month(room: Path, ca_file: Path) -> None:
    """No row for 35 days but one event a day: the channel is still the same one."""
    with bench(room, ca_file, Setting(sample_s=0, care_s=3600.0, seed=5)) as device:
        device.take(3)
        device.run(60)
        born = [channel.created_on_ms for channel in device.model.channels.values()]
        device.run(35 * DAY_S, coarse_s=900.0)
        assert [channel.created_on_ms for channel in device.model.channels.values()] == born
        assert 30 <= device.store.last_seq <= 45
        heal_and_judge(device)


def test_a_device_that_was_off_for_31_days(room: Path, ca_file: Path) -> None:
    """The channel and its token are gone: the rows in doubt go flagged, with an event row."""
    with bench(room, ca_file, Setting(sample_s=0, care_s=3600.0, seed=5)) as device:
        device.take(3)
        device.run(60)
        device.clock.advance(31 * DAY_S)
        device.take(2)
        device.kill()
        device.run(2 * HOUR_S, coarse_s=10.0)
        assert any("channel_lost" in text for text in device.said)
        heal_and_judge(device, flagged=True)
        assert any("channel_recreated" in row.row for row in device.table.rows)
