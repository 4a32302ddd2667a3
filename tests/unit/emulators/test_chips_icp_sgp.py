"""The emulated ICP-10125 and SGP30 keep the datasheets' rules."""

from typing import Any

import pytest

from tests.emulators.chips import arguments, frame
from tests.emulators.chips.icp10125 import MODES_S, Icp10125Chip, raw_pressure
from tests.emulators.chips.sgp30 import Sgp30Chip, State
from tests.unit.collector.rig import VECTORS
from tests.unit.emulators.master import Master


@pytest.fixture
def icp() -> Master:
    """An ICP-10125."""
    return Master(Icp10125Chip)


@pytest.fixture
def sgp() -> Master:
    """An SGP30."""
    return Master(Sgp30Chip)


def test_icp_refuses_headers_while_measuring(icp: Master) -> None:
    """Every mode takes its time; a soft reset is accepted in idle only (§5.6)."""
    for code, seconds in MODES_S.items():
        icp.ask(f"{code:04x}", wait_s=seconds * 0.99)
        assert icp.refuses("805d")
        icp.time.advance(seconds * 0.02)
        assert len(icp.chip.read(9)) == 9


def test_icp_orders_and_the_byte_that_means_nothing(icp: Master) -> None:
    """Pressure first and temperature first hold the same words; the last byte is noise."""
    temperature_first = arguments(bytes.fromhex(icp.ask("70df", 9, 0.03)))
    pressure_first = arguments(bytes.fromhex(icp.ask("5059", 9, 0.03)))
    assert temperature_first is not None
    assert pressure_first is not None
    (t1, m1, l1), (m2, l2, t2) = temperature_first, pressure_first
    assert (t1, m1, l1 >> 8) == (t2, m2, l2 >> 8)
    assert l1 != l2


IN_RANGE = [
    case
    for case in VECTORS["icp10125"]["conversion"]
    if 30_000 < case["expect"]["pimoroni-icp10125-signed"]["pressure_pa"] < 110_000
]


@pytest.mark.parametrize("case", IN_RANGE, ids=lambda c: f"{c['otp'][:12]}-{c['raw_pressure']}")
def test_icp_inverse_model(case: dict[str, Any]) -> None:
    """The pressure that the peers computed leads back to the raw number."""
    pascals = case["expect"]["pimoroni-icp10125-signed"]["pressure_pa"]
    c1, c2, c3, c4 = VECTORS["icp10125"]["otp_sets"][case["otp"]]["signed"]
    raw = raw_pressure((c1, c2, c3, c4), pascals, case["raw_temperature"])
    assert abs(raw - case["raw_pressure"]) <= 1


def test_icp_calibration_ends_in_ones(icp: Master) -> None:
    """Only the exact pointer is taken; beyond the fourth word the line floats."""
    assert icp.refuses("c59500679c")
    icp.ask("c59500669c")
    words = [icp.ask("c7f7", 3) for _ in range(5)]
    assert words[0] == frame(-1200 & 0xFFFF).hex()
    assert words[4] == "ffffff"
    icp.ask("805d")
    assert icp.refuses("c7f7")


def test_sgp30_general_call_puts_it_to_sleep(sgp: Master) -> None:
    """Humidity and baseline are lost; other bytes do nothing (§6.4)."""
    chip = sgp.chip
    assert isinstance(chip, Sgp30Chip)
    sgp.ask("2003")
    sgp.ask("20610f8062")
    sgp.ask("201e8aaeaf8973ca")
    chip.general_call(b"\x05")
    assert (chip.state, chip.humidity_word) == (State.IAQ, 0x0F80)
    assert sgp.ask("2015", 6) == VECTORS["sgp30"]["get_iaq_baseline"][0]["bytes"]
    chip.general_call(b"\x06")
    sgp.time.advance(0.01)
    assert (chip.state, chip.humidity_word) == (State.SLEEP, 0)
    assert sgp.ask("2015", 6) == "000081000081"


def test_sgp30_ignores_arguments_with_a_wrong_checksum(sgp: Master) -> None:
    """Acknowledged, not accepted (§6), and noted."""
    sgp.ask("2003")
    sgp.ask("20610f8063")
    assert isinstance(sgp.chip, Sgp30Chip)
    assert sgp.chip.humidity_word == 0
    assert len(sgp.chip.counters.violations) == 1


def test_sgp30_notes_what_must_not_be(sgp: Master) -> None:
    """Measuring before init, the self-test after it, and commands that are none."""
    assert sgp.ask("2008", 6) == "01904c000081"
    sgp.ask("2003")
    assert sgp.ask("2032", 3, 0.23) == "d400c6"
    assert sgp.refuses("1234")
    assert len(sgp.chip.counters.violations) == 3


@pytest.mark.parametrize(
    ("eco2", "tvoc", "words"),
    [
        (400.2, 0.4, (400, 0)),
        (1480.2, 2010.0, (1479, 2008)),
        (1481.0, 2012.0, (1482, 2014)),
        (17_600.0, 11_150.0, (17_597, 11_142)),
        (99_000.0, 99_000.0, (60_000, 60_000)),
    ],
)
def test_sgp30_steps(sgp: Master, eco2: float, tvoc: float, words: tuple[int, int]) -> None:
    """The steps grow with the value (§1.2)."""
    sgp.ask("2003")
    sgp.time.advance(15.0)
    sgp.air.change(eco2_ppm=eco2, tvoc_ppb=tvoc)
    assert sgp.ask("2008", 6) == frame(*words).hex()
