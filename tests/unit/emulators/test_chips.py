"""The emulated chips keep the datasheets' rules, on which the tests of the drivers rest."""

from collections.abc import Callable

import pytest

from tests.emulators.chips import (
    BusHung,
    CommandChip,
    arguments,
    crc,
    frame,
)
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip, State
from tests.emulators.chips.scd4x_commands import COMMANDS
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.unit.collector.rig import VECTORS, word
from tests.unit.emulators.master import Master


@pytest.fixture
def scd() -> Master:
    """An SCD41."""
    return Master(Scd4xChip)


@pytest.mark.parametrize("case", VECTORS["crc8"]["words"], ids=lambda case: case["word"])
def test_checksums_agree_with_the_vectors(case: dict[str, str]) -> None:
    """The emulators' own checksum, which is not the product's code."""
    assert frame(word(case["word"])).hex()[4:] == case["crc"][2:].lower()


def test_arguments_are_checked() -> None:
    """Wrong checksums and odd lengths are no words."""
    assert arguments(b"") == ()
    assert arguments(bytes.fromhex("beef92000081")) == (0xBEEF, 0)
    assert arguments(bytes.fromhex("beef93")) is None
    assert arguments(b"\x00") is None
    assert crc(bytes.fromhex("beef92")) == 0


@pytest.mark.parametrize("make", [Scd4xChip, Icp10125Chip, Sgp30Chip])
def test_no_chip_answers_while_it_powers_up(make: Callable[..., CommandChip]) -> None:
    """The first header after the supply came on is not acknowledged, later ones are."""
    master = Master(make)
    master.chip.power_cycle()
    question = {0x62: "3682", 0x63: "efc8", 0x58: "3682"}[master.chip.address]
    assert master.refuses(question)
    master.time.advance(0.05)
    assert not master.refuses(question)
    assert master.chip.counters.busy_nacks == 1


def test_a_measuring_scd4x_answers_its_subset_only(scd: Master) -> None:
    """Data ready, read, stop and pressure; everything else is refused (§3.6)."""
    scd.ask("21b1")
    allowed = {code for code, row in COMMANDS.items() if row.measuring}
    assert allowed == {0xEC05, 0xE4B8, 0x3F86, 0xE000}
    for code in COMMANDS:
        if code not in allowed:
            assert scd.refuses(f"{code:04x}"), hex(code)
    assert scd.ask("e4b8", 3) == "8000a2"
    assert scd.ask("e000", 3) == frame(1013).hex()
    scd.time.advance(5.0)
    assert scd.ask("e4b8", 3) == frame(0x8006).hex()


def test_a_stopped_scd4x_is_silent_for_half_a_second(scd: Master) -> None:
    """§3.6.3."""
    scd.ask("21b1")
    scd.ask("3f86", wait_s=0.499)
    assert scd.refuses("3682")
    scd.time.advance(0.002)
    assert scd.ask("3682", 9) == VECTORS["scd4x"]["get_serial_number"][0]["bytes"]


def test_scd4x_sleeps_until_woken(scd: Master) -> None:
    """Wake-up acts but is acknowledged in no state (§3.11.4)."""
    assert scd.refuses("36f6")
    scd.ask("36e0")
    assert scd.refuses("3682")
    assert scd.refuses("36f6")
    scd.time.advance(0.031)
    assert len(scd.ask("3682", 9)) == 18


@pytest.mark.parametrize(
    ("setter", "getter", "category"),
    [
        ("2427", "2322", "get_sensor_altitude"),
        ("2416", "2313", "get_asc_enabled"),
        ("243a", "233f", "get_asc_target"),
        ("241d", "2318", "get_temperature_offset"),
    ],
)
def test_scd4x_settings_read_back_as_written(
    scd: Master, setter: str, getter: str, category: str
) -> None:
    """Byte for byte what the other drivers were given."""
    for case in VECTORS["scd4x"][category]:
        scd.ask(setter + frame(word(case["word"])).hex())
        assert scd.ask(getter, 3) == case["bytes"]


def test_scd4x_keeps_settings_only_when_persisted(scd: Master) -> None:
    """Reinit and power cycles load the EEPROM, and writes to it are counted."""
    chip = scd.chip
    assert isinstance(chip, Scd4xChip)
    scd.ask("2427" + frame(500).hex())
    scd.ask("3646", wait_s=0.05)
    assert chip.settings["altitude"] == 0
    scd.ask("2427" + frame(500).hex())
    scd.ask("3615", wait_s=0.9)
    chip.power_cycle()
    assert (chip.settings["altitude"], chip.eeprom_writes) == (500, 1)


def test_scd4x_refuses_bad_arguments(scd: Master) -> None:
    """A wrong checksum, a missing word and a pressure out of bounds change nothing."""
    assert scd.refuses("24270001b1")
    assert scd.refuses("2427")
    scd.ask("e000" + frame(500).hex())
    assert scd.ask("e000", 3) == frame(1013).hex()
    assert len(scd.chip.counters.violations) == 3


def test_scd40_has_no_single_shot(scd: Master) -> None:
    """Commands of the SCD41 are refused by an SCD40; the SCD41 obeys, without CO2 for T and RH."""
    scd.ask("2196", wait_s=0.06)
    assert scd.ask("ec05", 9)[:6] == "000081"
    scd.ask("219d", wait_s=5.01)
    assert scd.ask("ec05", 9)[:4] == f"{640:04x}"
    assert isinstance(scd.chip, Scd4xChip)
    scd.chip.variant = 0x0440
    assert scd.refuses("219d")


def test_scd4x_recalibration_needs_operation(scd: Master) -> None:
    """0xFFFF until a sample was taken (§3.8.1)."""
    assert scd.ask("362f01e0b4", 3, 0.41) == "ffffac"
    scd.ask("21b1", wait_s=5.1)
    scd.ask("e4b8", 3)
    scd.ask("3f86", wait_s=0.6)
    assert scd.ask("362f01e0b4", 3, 0.41) == "7fce7b"


def test_scd4x_reports_what_its_offset_makes_of_the_air(scd: Master) -> None:
    """Offset off by 2 °C: warmer, and drier by the same vapour."""
    scd.ask("241d" + frame(round(2.0 * 65535 / 175)).hex())
    scd.ask("21b1", wait_s=5.1)
    words = arguments(bytes.fromhex(scd.ask("ec05", 9)))
    assert words is not None
    assert -45 + 175 * words[1] / 65535 == pytest.approx(24.5, abs=0.01)
    assert 100 * words[2] / 65535 == pytest.approx(41.0 * 27.26 / 30.74, abs=0.2)


def test_scd4x_low_power_takes_thirty_seconds(scd: Master) -> None:
    """And the buffer holds the newest sample only."""
    scd.ask("21ac", wait_s=29.9)
    assert scd.ask("e4b8", 3) == "8000a2"
    scd.time.advance(60.0)
    scd.ask("ec05", 9)
    assert scd.ask("e4b8", 3) == "8000a2"
    assert isinstance(scd.chip, Scd4xChip)
    assert scd.chip.samples_taken - scd.chip.samples_read in (1, 2)


def test_scd4x_hangs_only_when_told(scd: Master) -> None:
    """A second start is refused; with the knob it holds the bus until the power is cut."""
    chip = scd.chip
    assert isinstance(chip, Scd4xChip)
    scd.ask("21b1")
    assert scd.refuses("21b1")
    chip.hangs_on_double_start = True
    with pytest.raises(BusHung):
        chip.write(b"\x21\xb1")
    with pytest.raises(BusHung):
        chip.read(3)
    chip.power_cycle()
    assert chip.state is State.IDLE


def test_control_a_driver_that_ignores_checksums_is_caught(scd: Master) -> None:
    """Negative control: one flipped bit makes a plausible but wrong value out of the air."""
    scd.ask("21b1", wait_s=5.1)
    scd.chip.flip_bit = 7
    damaged = bytes.fromhex(scd.ask("ec05", 9))
    believed_ppm = int.from_bytes(damaged[:2], "big")
    assert believed_ppm == 640 + 256
    assert arguments(damaged) is None
