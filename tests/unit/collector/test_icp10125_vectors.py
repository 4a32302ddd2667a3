"""ICP-10125 arithmetic and wire bytes, against what other people's drivers said."""

from typing import Any

import pytest

from collector.drivers import icp10125
from collector.drivers.icp10125_compensation import (
    Otp,
    OtpInvalid,
    compensation,
    pressure_pa,
    temperature_c,
)
from collector.drivers.sensirion import ChecksumMismatch, decode_words, execute
from tests.unit.collector.rig import VECTORS, ScriptedBus, word

V = VECTORS["icp10125"]


def _otp(words: list[str]) -> Otp:
    c1, c2, c3, c4 = (word(text) for text in words)
    return Otp.from_words((c1, c2, c3, c4))


OTPS = {name: _otp(entry["words"]) for name, entry in V["otp_sets"].items()}
CASES = pytest.mark.parametrize(
    "case", V["conversion"], ids=lambda c: f"{c['otp'][:12]}-{c['raw_pressure']}"
)


@pytest.mark.parametrize("name", OTPS)
def test_calibration_words_are_signed(name: str) -> None:
    """Each set reads as the signed numbers that four of six drivers make of it."""
    otp = OTPS[name]
    assert [otp.c1, otp.c2, otp.c3, otp.c4] == V["otp_sets"][name]["signed"]


@CASES
def test_conversions(case: dict[str, Any]) -> None:
    """1e-9 of the double-precision peer; 1 Pa of TDK's floats, 5 Pa of the kernel's integers."""
    otp, expected = OTPS[case["otp"]], case["expect"]
    pascals = pressure_pa(otp, case["raw_pressure"], case["raw_temperature"])
    peer = expected["pimoroni-icp10125-signed"]
    assert pascals == pytest.approx(peer["pressure_pa"], rel=1e-9)
    assert temperature_c(case["raw_temperature"]) == pytest.approx(peer["t_c"], rel=1e-9)
    if case["pimoroni_as_is_valid"]:
        as_is = expected["pimoroni-icp10125"]["pressure_pa"]
        assert pascals == pytest.approx(as_is, rel=1e-9)
    if 30_000 <= pascals <= 110_000:
        assert pascals == pytest.approx(expected["tdk-c"]["pressure_pa_float32"], abs=1.0)
        if "linux-kernel" in expected:
            kernel_pa = expected["linux-kernel"]["pressure_mpa"] / 1000
            assert pascals == pytest.approx(kernel_pa, abs=5.0)


@CASES
def test_frames(case: dict[str, Any]) -> None:
    """The frame's last byte counts for the checksum only; impossible values are null."""
    words = decode_words(bytes.fromhex(case["t_first_bytes"]), 3)
    pressure, temperature = icp10125.measurement(OTPS[case["otp"]], words).readings
    assert (pressure.ticks, temperature.ticks) == (case["raw_pressure"], case["raw_temperature"])
    peer = case["expect"]["pimoroni-icp10125-signed"]
    possible_c = -40 <= peer["t_c"] <= 85
    assert (temperature.value is not None) == possible_c
    assert (pressure.value is not None) == (possible_c and 25_000 <= peer["pressure_pa"] <= 115_000)


def test_control_unsigned_calibration_is_far_off() -> None:
    """Negative control: read unsigned, a negative word shifts the pressure by kilopascals."""
    signed = Otp(-1200, -850, 430, 4150)
    unsigned = Otp(-1200 + 0x10000, -850 + 0x10000, 430, 4150)
    good = pressure_pa(signed, 11_600_000, 1872)
    assert good == pytest.approx(101_732.4617, abs=0.001)
    assert abs(pressure_pa(unsigned, 11_600_000, 1872) - good) > 10_000


def test_datasheet_example_step_by_step() -> None:
    """The inputs of DS-000329 §5.13; its results are those of three other drivers."""
    a, b, c = compensation(Otp(1000, 2000, 3000, 4000), 32_000)
    assert c == pytest.approx(38_889_814.376383685, rel=1e-12)
    assert a == pytest.approx(409_409.3284818068, rel=1e-12)
    assert b == pytest.approx(-15_509_212_019_023.035, rel=1e-12)


@pytest.mark.parametrize("c4", [0, 1792, 5888, -4000, 32_767])
def test_impossible_calibrations_are_refused(c4: int) -> None:
    """c4 places 80 kPa between 45 and 105 kPa; an empty memory cannot."""
    with pytest.raises(OtpInvalid, match="c4"):
        Otp.from_words((0, 0, 0, c4 & 0xFFFF))


def test_a_calibration_without_solution_raises_instead_of_dividing_by_zero() -> None:
    """Points that coincide, and the pole of the curve."""
    with pytest.raises(OtpInvalid, match="no solution"):
        pressure_pa(Otp(0, 0, 0, 1792), 8_000_000, 32_768)
    otp = Otp(0, 0, 0, 4096)
    pole = -compensation(otp, 32_768).c
    with pytest.raises(OtpInvalid, match="pole"):
        pressure_pa(otp, pole, 32_768)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", V["product_id"], ids=lambda case: case["word"])
def test_product_id(case: dict[str, Any]) -> None:
    """Only the low six bits are the product."""
    accepted = case["expect"]["pimoroni-icp10125"] == "accepted"
    assert icp10125.accepts(word(case["word"])) is accepted


@pytest.mark.parametrize("frame", ["7d00fb7a1275000081", "7d00fa7a1275000082", "ff" * 9])
def test_damaged_frames_are_refused(frame: str) -> None:
    """A wrong checksum in the first or in the last word, and a floating bus."""
    bus = ScriptedBus(bytes.fromhex(frame))
    with pytest.raises(ChecksumMismatch):
        execute(bus, icp10125.ADDRESS, icp10125.MEASURE_LOW_NOISE)


def test_start_up_bytes_are_the_peers() -> None:
    """ID, pointer and four calibration words, byte for byte."""
    trace = V["wire_traces"]["pimoroni-icp10125/constructor"]
    reads = [bytes.fromhex(entry[2]) for entry in trace if entry[0] == "r"]
    bus = ScriptedBus(*reads[:5], *reads[1:5])
    driver = icp10125.Icp10125(bus)
    for _ in range(12):
        driver.step(0.0)
    written = [entry[1] for entry in bus.transfers]
    expected = [entry[2] for entry in trace if entry[0] == "w"]
    assert written == ["805d", *expected, *expected[1:]]
    assert driver.otp == Otp(1000, 2000, 3000, 4000)
