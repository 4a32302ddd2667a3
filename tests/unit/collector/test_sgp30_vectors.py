"""SGP30 conversions, wire bytes and humidity, against what other people's drivers said."""

from typing import Any

import pytest

from collector.drivers import sgp30
from collector.drivers.humidity import absolute_humidity_g_m3, humidity_word
from collector.drivers.sensirion import (
    ChecksumMismatch,
    decode_words,
    encode_command,
    execute,
)
from tests.unit.collector.rig import VECTORS, ScriptedBus, statuses, values, word

V = VECTORS["sgp30"]


@pytest.mark.parametrize("case", V["measure_iaq"], ids=lambda case: case["bytes"])
def test_measurements(case: dict[str, Any]) -> None:
    """Both words are the values; from 60 000 on they mean saturation, below 400 ppm nonsense."""
    words = decode_words(bytes.fromhex(case["bytes"]), 2)
    expected = (case["expect"]["eco2_ppm"], case["expect"]["tvoc_ppb"])
    assert words == expected
    readings = sgp30.measurement(words, warming_up=False).readings
    for reading, number, low in zip(readings, expected, (400, 0), strict=True):
        assert reading.ticks == number
        assert reading.value == (number if low <= number < 60_000 else None)


def test_statuses() -> None:
    """Saturated, impossible and warming up are told apart."""
    assert statuses(sgp30.measurement((60_000, 59_999), warming_up=False)) == ["saturated", "ok"]
    assert statuses(sgp30.measurement((399, 0), warming_up=False)) == ["out_of_range", "ok"]
    warming = sgp30.measurement((400, 0), warming_up=True)
    assert statuses(warming) == ["warming_up", "warming_up"]
    assert set(values(warming).values()) == {None}
    assert statuses(sgp30.measurement((400, 0), warming_up=False)) == ["ok", "ok"]


@pytest.mark.parametrize("case", V["measure_iaq_errors"], ids=lambda case: case["case"])
def test_damaged_measurements_are_refused(case: dict[str, Any]) -> None:
    """What the other drivers refuse, ours refuses."""
    bus = ScriptedBus(bytes.fromhex(case["bytes"]))
    with pytest.raises(ChecksumMismatch):
        execute(bus, sgp30.ADDRESS, sgp30.MEASURE_IAQ)


@pytest.mark.parametrize("case", V["get_iaq_baseline"], ids=lambda case: case["bytes"])
def test_baseline_is_read_eco2_first(case: dict[str, Any]) -> None:
    """get_iaq_baseline answers CO2eq, then TVOC."""
    bus = ScriptedBus(bytes.fromhex(case["bytes"]))
    eco2, tvoc = execute(bus, sgp30.ADDRESS, sgp30.GET_IAQ_BASELINE)
    assert {"eco2": eco2, "tvoc": tvoc} == case["expect"]["pimoroni-sgp30"]


@pytest.mark.parametrize("case", V["set_iaq_baseline"], ids=lambda case: case["eco2"])
def test_baseline_is_written_tvoc_first(case: dict[str, Any]) -> None:
    """set_iaq_baseline takes TVOC, then CO2eq; swapped it would differ."""
    eco2, tvoc = word(case["eco2"]), word(case["tvoc"])
    written = encode_command(sgp30.SET_IAQ_BASELINE, tvoc, eco2).hex()
    peers = [writes for writes in case["writes"].values() if isinstance(writes, list)]
    assert peers
    assert all(writes == [written] for writes in peers)
    swapped = encode_command(sgp30.SET_IAQ_BASELINE, eco2, tvoc).hex()
    assert (swapped == written) is (eco2 == tvoc)


@pytest.mark.parametrize("case", V["get_feature_set"], ids=lambda case: case["word"])
def test_feature_set(case: dict[str, Any]) -> None:
    """Accepted as Sensirion's own driver does: product 0, version 0x20 and later."""
    expected = case["expect"]["sensirion-c-sgp30 probe rc"] == 0
    assert sgp30.accepts(word(case["word"])) is expected


@pytest.mark.parametrize("case", V["get_serial_id"], ids=lambda case: case["bytes"])
def test_serial_number(case: dict[str, Any]) -> None:
    """48 bits, most significant word first."""
    bus = ScriptedBus(bytes.fromhex(case["bytes"]))
    words = execute(bus, sgp30.ADDRESS, sgp30.GET_SERIAL_ID)
    assert f"0x{sgp30.serial_number(words):012X}" == case["expect"]["sgp30-driver"]


@pytest.mark.parametrize("case", V["set_absolute_humidity"], ids=str)
def test_humidity_words(case: dict[str, Any]) -> None:
    """8.8 fixed point; Adafruit truncates where we round, and 0 would switch it off."""
    if "raw_word" in case:
        frame = encode_command(sgp30.SET_ABSOLUTE_HUMIDITY, word(case["raw_word"]))
        assert [[frame.hex()]] == list(case["writes"].values())
        return
    (peer,) = case["writes"]["adafruit-sgp30"]
    number = humidity_word(case["g_per_m3"])
    assert number - int(peer[4:8], 16) in (0, 1)
    assert number == max(1, round(case["g_per_m3"] * 256))


@pytest.mark.parametrize("case", V["humidity_from_t_rh"], ids=str)
def test_humidity_from_temperature_and_relative_humidity(case: dict[str, Any]) -> None:
    """The datasheet's formula; Adafruit truncates where we round, so one bit may differ."""
    (peer,) = case["writes"]["adafruit-sgp30 (datasheet formula)"]
    number = humidity_word(absolute_humidity_g_m3(case["t_c"], case["rh_pct"]))
    assert number - int(peer[4:8], 16) in (0, 1)
    assert number >= 1


@pytest.mark.parametrize(
    ("temperature_c", "humidity_percent", "grams", "expected"),
    [
        (25, 50, 11.484, 0x0B7C),
        (20, 50, 8.621, 0x089F),
        (0, 50, 2.424, 0x026D),
        (35, 90, 35.524, 0x2386),
        (25, 100, 22.968, 0x16F8),
        (-40, 1, 0.002, 0x0001),
    ],
)
def test_absolute_humidity(
    temperature_c: float, humidity_percent: float, grams: float, expected: int
) -> None:
    """Values of the datasheet's formula, whose own worked example contradicts it."""
    got = absolute_humidity_g_m3(temperature_c, humidity_percent)
    assert got == pytest.approx(grams, abs=0.0006)
    assert humidity_word(got) == expected


def test_wire_trace_of_a_measurement() -> None:
    """The same bytes as Sensirion's driver, and no shorter a wait."""
    trace = V["wire_traces"]["sensirion-c-sgp30/measure_iaq_blocking_read"]
    (_, _, written), (_, waited_s), (_, _, answer) = trace
    bus = ScriptedBus(bytes.fromhex(answer))
    assert execute(bus, sgp30.ADDRESS, sgp30.MEASURE_IAQ) == (400, 0)
    assert bus.transfers == [(0x58, written, 6, waited_s)]
