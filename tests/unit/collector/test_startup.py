"""The probe phase and the words of a start."""

import io
from pathlib import Path

import pytest

from collector import startup
from collector.chips import make_chips
from collector.startup import NO_SENSORS, PROBE_S_MAX, Probe, SensorsMissing, bound_drivers, probe
from common.errors import ExitCode
from common.logs import Log
from tests.emulators.bus import FaultKind
from tests.unit.collector.bench import Bench

ANY = ("scd4x|icp10125",)


def ask(bench: Bench) -> Probe:
    """Probe the chips of a bench."""
    chips = make_chips(bench.bus, 5.0, lambda: 0.0, None)
    return probe(chips.all, bench.clock)


def test_three_chips_that_answer_take_no_time() -> None:
    """The phase ends with the last answer: some milliseconds."""
    bench = Bench()
    began_s = bench.clock.monotonic_s()
    found = ask(bench)
    assert set(found.found) == {"scd4x", "icp10125", "sgp30"}
    assert found.found["scd4x"] == "SCD41 serial f8969f073bbe"
    assert bench.clock.monotonic_s() - began_s < 0.1


def test_a_silent_chip_ends_the_phase_after_its_patience() -> None:
    """A chip that is not there costs about a second, not more, and the start goes on."""
    bench = Bench()
    bench.unplug(bench.sgp30)
    began_s = bench.clock.monotonic_s()
    found = ask(bench)
    assert 0.9 < bench.clock.monotonic_s() - began_s < PROBE_S_MAX + 0.1
    assert set(found.refused) == {"sgp30"}
    startup.verify(found, ANY, "/dev/i2c-1")


def test_a_chip_that_is_busy_at_first_is_found() -> None:
    """An SCD4x that still executes a stop of the process before answers within half a second."""
    bench = Bench()
    bench.scd4x.busy(0.5)
    found = ask(bench)
    assert "scd4x" in found.found
    assert found.refused == {}


def test_no_sensor_at_all_fails_in_the_words_that_people_know() -> None:
    """Status 69, the exact sentence, and what was seen on the bus as the remedy."""
    bench = Bench()
    bench.bus.inject(FaultKind.NACK)
    with pytest.raises(SensorsMissing) as raised:
        startup.verify(ask(bench), ANY, "/dev/i2c-1")
    assert str(raised.value) == NO_SENSORS == (
        "PRODUCTION MODE FAILED: No sensors initialized. "
        "At least SCD4X or ICP10125 must be available."
    )
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert raised.value.hint is not None
    assert "scd4x at 0x62 does not answer" in raised.value.hint
    assert "/dev/i2c-1" in raised.value.hint


def test_the_sgp30_alone_is_not_enough() -> None:
    """Only the secondary sensor answers: the same sentence."""
    bench = Bench()
    bench.unplug(bench.scd4x)
    bench.unplug(bench.icp10125)
    with pytest.raises(SensorsMissing, match="At least SCD4X or ICP10125"):
        startup.verify(ask(bench), ANY, "/dev/i2c-1")


def test_another_required_set_names_what_is_missing() -> None:
    """Who asks for the SGP30 is told that it is the SGP30."""
    bench = Bench()
    bench.unplug(bench.sgp30)
    with pytest.raises(SensorsMissing, match="Required sensors not available: SGP30"):
        startup.verify(ask(bench), ("scd4x", "sgp30"), "/dev/i2c-1")


def test_another_chip_at_the_address_is_named() -> None:
    """A foreign chip is refused with its words, and is not asked again."""
    bench = Bench()
    bench.icp10125.id_word = 0x1234
    began_s = bench.clock.monotonic_s()
    found = ask(bench)
    assert "product id 0x1234" in str(found.refused["icp10125"])
    assert bench.clock.monotonic_s() - began_s < 0.1


def test_a_missing_library_is_told_as_such() -> None:
    """The other sentence that people know."""
    error = startup.LibrariesMissing(ImportError("No module named 'smbus2'"))
    assert str(error).startswith(
        "PRODUCTION MODE FAILED: Physical sensor libraries not available. No module named 'smbus2'"
    )
    assert error.exit_code is ExitCode.UNAVAILABLE


def test_the_good_start_says_its_words_once() -> None:
    """The lines that people watch for are the message part of their events."""
    bench, text = Bench(), io.StringIO()
    startup.announce(Log("thermal-collector", stream=text), ask(bench))
    said = text.getvalue()
    assert said.count("Physical sensors initialized successfully") == 1
    assert said.count("[OK] Sensor verification passed - physical sensors available") == 1
    assert "sensor_found sensor=sgp30" in said


@pytest.mark.parametrize(
    ("bus", "expected"), [(1, ["scd4x"]), ("/dev/i2c-1", ["scd4x"]), (3, []), ("/srv/bus", [])]
)
def test_a_kernel_driver_on_a_chip_is_seen(
    tmp_path: Path, bus: int | str, expected: list[str]
) -> None:
    """A link ``1-0062/driver`` means that the kernel talks to the chip too."""
    (tmp_path / "1-0062" / "driver").mkdir(parents=True)
    (tmp_path / "1-0063").mkdir()
    assert list(bound_drivers(bus, tmp_path)) == expected
