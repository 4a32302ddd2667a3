"""The air that the emulated chips measure."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.emulators.environment import RECORDING, RecordedRoom

MINUTES = """time,temperature_c,humidity_percent,co2_ppm
2015-02-02 14:00:00,20.0,30.0,400
2015-02-02 14:01:00,21.0,32.0,500
2015-02-03 20:01:00,23.0,40.0,900
"""


@pytest.fixture
def room(tmp_path: Path) -> RecordedRoom:
    """Three rows with a hole of a day before the last."""
    path = tmp_path / "room.csv"
    path.write_text(MINUTES)
    return RecordedRoom(path, playback=60.0, start_s=100.0)


def test_values_between_two_rows_are_interpolated(room: RecordedRoom) -> None:
    """Half a minute of the recording is half a second of the chips at this playback."""
    air = room.air(100.5)
    assert (air.temperature_c, air.humidity_percent, air.co2_ppm) == (20.5, 31.0, 450.0)
    assert room.air(0.0) == room.air(100.0)


def test_a_hole_is_played_as_a_minute(room: RecordedRoom) -> None:
    """Nobody waits a day for the next row."""
    assert room.duration_s == 120.0
    assert room.air(101.5).co2_ppm == 700.0


def test_it_begins_again_at_its_end(room: RecordedRoom) -> None:
    """Two seconds play it all."""
    assert room.air(102.25).co2_ppm == room.air(100.25).co2_ppm


def test_the_recorded_office_is_plausible() -> None:
    """The whole recording at full length stays in the chips' ranges and moves."""
    room = RecordedRoom(RECORDING, playback=1.0)
    assert 12 * 86_400 < room.duration_s < 16 * 86_400
    airs = [room.air(at * 3600.0) for at in range(int(room.duration_s // 3600))]
    assert all(18 < air.temperature_c < 26 for air in airs)
    assert all(15 < air.humidity_percent < 45 for air in airs)
    assert all(400 < air.co2_ppm < 2100 for air in airs)
    assert all(98_000 < air.pressure_pa < 100_200 for air in airs)
    assert all(400 <= air.eco2_ppm < 60_000 and air.tvoc_ppb >= 0 for air in airs)
    assert len({round(air.co2_ppm) for air in airs}) > 100


def test_the_made_up_pressure_drifts_slowly() -> None:
    """No more than 1 hPa an hour, as weather does."""
    room = RecordedRoom(RECORDING, playback=1.0)
    hourly = [room.air(at * 3600.0).pressure_pa for at in range(100)]
    assert max(abs(b - a) for a, b in pairwise(hourly)) < 100
