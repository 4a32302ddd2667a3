"""SCD4x conversions and wire bytes, against what other people's drivers said."""

from typing import Any

import pytest

from collector.bus import Bus
from collector.drivers import scd4x, scd4x_words
from collector.drivers.sensirion import ChecksumMismatch, decode_words, encode_command, execute
from common.errors import ConfigError
from common.sample import SensorStatus
from tests.emulators.chips import ChipTime
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.environment import StillAir
from tests.unit.collector.rig import VECTORS, ScriptedBus, word

V = VECTORS["scd4x"]
TOLERANCE_C = {"adafruit-scd4x": 1e-9, "sensirion-py-scd4x": 1e-9, "pimoroni-scd4x": 0.003}


@pytest.mark.parametrize("case", V["read_measurement"], ids=lambda case: case["bytes"])
def test_measurements(case: dict[str, Any]) -> None:
    """CO2, temperature and humidity of each frame agree with three drivers."""
    words = decode_words(bytes.fromhex(case["bytes"]), 3)
    assert words == tuple(word(text) for text in case["words"])
    readings = scd4x_words.measurement(words).readings
    for peer, tolerance in TOLERANCE_C.items():
        expected = case["expect"][peer]
        assert words[0] == expected["co2_ppm"]
        assert scd4x_words.temperature_c(words[1]) == pytest.approx(expected["t_c"], abs=tolerance)
        assert scd4x_words.humidity_percent(words[2]) == pytest.approx(
            expected["rh_pct"], abs=tolerance
        )
    assert tuple(reading.ticks for reading in readings) == words
    assert all((r.value is None) == (r.status is not SensorStatus.OK) for r in readings)


@pytest.mark.parametrize(
    ("co2", "temperature", "good"),
    [
        (0, 0x6667, (False, True, True)),
        (1, 0x6667, (True, True, True)),
        (40_000, 0x6667, (True, True, True)),
        (40_001, 0x6667, (False, True, True)),
        (47_867, 0x6667, (False, True, True)),
        (500, 0x0000, (True, False, True)),
        (500, 0xFFFF, (True, False, True)),
    ],
)
def test_impossible_values_are_null(co2: int, temperature: int, good: tuple[bool, ...]) -> None:
    """CO2 of 0 or beyond 40 000 ppm and temperatures off the scale have no value, but ticks."""
    readings = scd4x_words.measurement((co2, temperature, 0x5EB9)).readings
    assert tuple(reading.value is not None for reading in readings) == good
    wrong = [reading.status for reading in readings if reading.value is None]
    assert wrong == [SensorStatus.OUT_OF_RANGE] * len(wrong)


@pytest.mark.parametrize("case", V["get_data_ready_status"], ids=lambda case: case["word"])
def test_data_ready(case: dict[str, Any]) -> None:
    """Only the low 11 bits count: 0x8000 and 0x0800 are not ready, 0x0400 is."""
    assert scd4x_words.data_ready(word(case["word"])) is case["ready"]


@pytest.mark.parametrize("case", V["set_temperature_offset"], ids=lambda c: str(c["offset_c"]))
def test_temperature_offset(case: dict[str, Any]) -> None:
    """In bounds the bytes are those of Sensirion's driver, which rounds; out of bounds refused."""
    offset_c = case["offset_c"]
    if not 0 <= offset_c <= 20:
        with pytest.raises(ConfigError, match="expected 0 to 20"):
            scd4x_words.temperature_offset_word(offset_c)
        return
    frame = encode_command(
        scd4x.SET_TEMPERATURE_OFFSET, scd4x_words.temperature_offset_word(offset_c)
    )
    assert [frame.hex()] == case["writes"]["sensirion-py-scd4x"]


@pytest.mark.parametrize("case", V["set_ambient_pressure"], ids=lambda c: str(c["value_hpa"]))
def test_ambient_pressure(case: dict[str, Any]) -> None:
    """The word is hectopascals."""
    frame = encode_command(
        scd4x.SET_AMBIENT_PRESSURE, scd4x_words.ambient_pressure_word(case["value_hpa"] * 100.0)
    )
    assert all([frame.hex()] == writes for writes in case["writes"].values())


@pytest.mark.parametrize(
    ("pressure_pa", "expected"),
    [(25_000.0, 700), (98_765.0, 988), (115_000.0, 1150), (125_000.0, 1200)],
)
def test_ambient_pressure_is_clamped(pressure_pa: float, expected: int) -> None:
    """The chip accepts 700 to 1200 hPa; the barometer knows more."""
    assert scd4x_words.ambient_pressure_word(pressure_pa) == expected


@pytest.mark.parametrize("case", V["get_serial_number"], ids=lambda case: case["bytes"])
def test_serial_number(case: dict[str, Any]) -> None:
    """48 bits, most significant word first."""
    words = execute(
        ScriptedBus(bytes.fromhex(case["bytes"])), scd4x.ADDRESS, scd4x.GET_SERIAL_NUMBER
    )
    assert scd4x_words.serial_number(words) == case["expect"]["sensirion-py-scd4x"]


@pytest.mark.parametrize("case", V["get_sensor_variant"], ids=lambda case: case["word"])
def test_variant(case: dict[str, Any]) -> None:
    """The upper four bits name the product, whatever the lower ones are."""
    assert scd4x_words.variant_name(word(case["word"])) == case["expect"]["sensirion-py-scd4x"]


@pytest.mark.parametrize("case", V["read_measurement_errors"], ids=lambda case: case["case"])
def test_damaged_measurements_are_refused(case: dict[str, Any]) -> None:
    """What the other drivers refuse, ours refuses."""
    with pytest.raises(ChecksumMismatch):
        decode_words(bytes.fromhex(case["bytes"]), 3)


TRACES = {
    "sensirion-py-scd4x/stop_periodic_measurement": scd4x.STOP_PERIODIC_MEASUREMENT,
    "sensirion-py-scd4x/start_periodic_measurement": scd4x.START_PERIODIC_MEASUREMENT,
    "sensirion-py-scd4x/get_serial_number": scd4x.GET_SERIAL_NUMBER,
    "sensirion-py-scd4x/read_measurement": scd4x.READ_MEASUREMENT,
    "adafruit-scd4x/data_ready": scd4x.GET_DATA_READY_STATUS,
}


@pytest.mark.parametrize("name", TRACES)
def test_wire_traces(name: str) -> None:
    """Each command puts the peer's bytes on the wire and waits no less than the peer did."""
    command, trace = TRACES[name], V["wire_traces"][name]
    reads = [bytes.fromhex(data) for op, *rest in trace if op == "r" for data in rest[1:]]
    bus: Bus = ScriptedBus(*reads)
    execute(bus, scd4x.ADDRESS, command)
    assert isinstance(bus, ScriptedBus)
    ((address, written, read_length, _),) = bus.transfers
    assert ["w", f"0x{address:02x}", written] == trace[0]
    assert read_length == sum(len(data) for data in reads)
    waits = [entry[1] for entry in trace if entry[0] == "sleep_s"]
    assert command.execution_s >= max(waits[:1], default=0.0)


SETTINGS = {
    "set_sensor_altitude": "value",
    "set_asc_enabled": "value",
    "set_asc_target": "value",
    "set_asc_initial_period_h": "value",
    "set_asc_standard_period_h": "value",
}


@pytest.mark.parametrize("category", SETTINGS)
def test_the_emulated_chip_understands_what_other_drivers_write(category: str) -> None:
    """Settings that our driver never touches still reach the emulated chip's RAM."""
    time = ChipTime()
    chip = Scd4xChip(time, StillAir())
    for case in V[category]:
        for writes in case["writes"].values():
            time.advance(0.1)
            chip.write(bytes.fromhex(writes[0]))
            assert case["value"] in chip.settings.values()
    assert chip.counters.violations == []
