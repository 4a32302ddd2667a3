"""The SCD4x's whole command table (datasheet v1.7, Table 9), as the emulated chip obeys it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the command table: time of execution (s), argument words, where it is allowed."""

    name: str
    execution_s: float = 0.001
    words: int = 0
    measuring: bool = False
    scd41_only: bool = False


COMMANDS: Final[dict[int, Row]] = {
    0x21B1: Row("start_periodic", 0.0),
    0xEC05: Row("read_measurement", measuring=True),
    0x3F86: Row("stop_periodic", 0.5, measuring=True),
    0x241D: Row("set_temperature_offset", words=1),
    0x2318: Row("get_temperature_offset"),
    0x2427: Row("set_altitude", words=1),
    0x2322: Row("get_altitude"),
    0xE000: Row("pressure", measuring=True),
    0x362F: Row("recalibrate", 0.4, words=1),
    0x2416: Row("set_asc_enabled", words=1),
    0x2313: Row("get_asc_enabled"),
    0x243A: Row("set_asc_target", words=1),
    0x233F: Row("get_asc_target"),
    0x21AC: Row("start_low_power", 0.0),
    0xE4B8: Row("data_ready", measuring=True),
    0x3615: Row("persist", 0.8),
    0x3682: Row("serial"),
    0x3639: Row("self_test", 10.0),
    0x3632: Row("factory_reset", 1.2),
    0x3646: Row("reinit", 0.03),
    0x202F: Row("variant"),
    0x219D: Row("single_shot", 5.0, scd41_only=True),
    0x2196: Row("single_shot_rht", 0.05, scd41_only=True),
    0x36E0: Row("power_down", scd41_only=True),
    0x2445: Row("set_asc_initial", words=1, scd41_only=True),
    0x2340: Row("get_asc_initial", scd41_only=True),
    0x244E: Row("set_asc_standard", words=1, scd41_only=True),
    0x234B: Row("get_asc_standard", scd41_only=True),
}
