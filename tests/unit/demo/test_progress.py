"""The progress line of the demo."""

import io

from tests.demo.progress import Progress, Snapshot, air, render

VALUES = {
    "scd4x_co2_ppm": 512.4, "scd4x_temperature_c": 21.34, "scd4x_humidity_percent": 44.6,
    "icp10125_pressure_pa": 101_324.7,
}
SNAPSHOT = Snapshot(12.34, 300, 290, 280, 270, 3, "the network is cut", VALUES)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_line_has_counts_values_and_state() -> None:
    """Everything a person wants to see, in two lines that fit a terminal of 80 columns."""
    counts, air_and_state = render(SNAPSHOT)
    assert counts == (
        " 12.3 s  taken 300  stored 290  accepted 280  committed 270  backlog 20  kills 3"
    )
    assert air_and_state == "512 ppm CO2 21.3 °C 45 %RH 1013.2 hPa  |  the network is cut"


def test_a_value_that_was_not_measured_is_a_dash() -> None:
    """A missing value is never shown as zero; before the first sample nothing is shown."""
    assert air({**VALUES, "scd4x_co2_ppm": None}).startswith("- ppm CO2 21.3 °C")
    assert air({}) == ""


def test_a_terminal_is_refreshed_and_a_log_gets_few_lines() -> None:
    """Two lines are overwritten on a terminal; elsewhere a line comes every few seconds."""
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        progress = Progress(stream)
        progress.show(SNAPSHOT)
        progress.show(SNAPSHOT)
    assert terminal.getvalue().count("\n") == terminal.getvalue().count("\x1b[1A") == 2
    assert log.getvalue().count("\n") == 1
