"""When an SGP30 has to begin anew."""

from collector.drivers import Measurement
from collector.drivers.sgp30 import measurement
from collector.relapse import FLOOR, SATURATED_S_MAX, Relapse
from common.sample import SensorStatus


def said(eco2: int, tvoc: int, *, warming_up: bool = False) -> Measurement:
    """What the driver makes of a frame."""
    return measurement((eco2, tvoc), warming_up=warming_up)


def test_clean_air_may_say_the_same_for_hours() -> None:
    """400 ppm and 0 ppb, reached by and by, is no fault."""
    relapse = Relapse()
    readings = [said(499 - n, 0) for n in range(99)] + [said(*FLOOR)] * 5000
    assert not any(relapse.see(m, float(n)) for n, m in enumerate(readings))
    assert relapse.marked(said(*FLOOR)) == said(*FLOOR)


def test_from_bad_to_perfect_at_once_is_a_chip_that_sleeps() -> None:
    """It must begin anew, twice at most, and what it said is no value."""
    for bad in (said(500, 0), said(420, 60)):
        relapse = Relapse()
        assert not relapse.see(bad, 1.0)
        for at_s in (2.0, 20.0):
            assert relapse.see(said(*FLOOR), at_s)
            assert relapse.stuck
            marked = relapse.marked(said(*FLOOR))
            assert {(r.value, r.status) for r in marked.readings} == {(None, SensorStatus.STUCK)}
            assert not relapse.see(said(*FLOOR, warming_up=True), at_s + 1.0)
        assert not relapse.see(said(*FLOOR), 40.0), "then the air is perfect"
        assert not relapse.stuck


def test_a_fall_that_took_time_is_none() -> None:
    """After ten minutes of silence, or by way of good air, perfect air is believed."""
    relapse = Relapse()
    relapse.see(said(800, 90), 1.0)
    assert not relapse.see(said(*FLOOR), 602.0)
    relapse.see(said(800, 90), 603.0)
    relapse.see(said(450, 20), 604.0)
    assert not relapse.see(said(*FLOOR), 605.0)


def test_ten_minutes_of_saturation_ask_for_a_new_start_once_each() -> None:
    """Shorter ones do not; one clean reading begins the count anew."""
    relapse = Relapse()
    full = said(60_000, 60_000)
    asked = [n for n in range(1300) if relapse.see(full, float(n))]
    assert asked == [SATURATED_S_MAX, 2 * SATURATED_S_MAX]
    relapse = Relapse()
    assert not any(
        relapse.see(said(450, 9) if n == 500 else full, float(n)) for n in range(1000)
    )
