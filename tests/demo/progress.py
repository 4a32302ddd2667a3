"""What a person sees while it runs: refreshed in place on a terminal, repeated elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

LINE_EVERY_S: Final = 5.0
"""Pause between two lines where there is no terminal, such as in a CI log."""

_CLEAR: Final = "\r\x1b[J"
"""To the beginning of the line, and everything from there on away (ECMA-48)."""

_UP: Final = "\x1b[1A\r"

_CO2, _TEMPERATURE, _HUMIDITY, _PRESSURE = (
    "scd4x_co2_ppm", "scd4x_temperature_c", "scd4x_humidity_percent", "icp10125_pressure_pa",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run at one moment.

    Attributes:
        elapsed_s: since the start.
        taken: ticks over all lives of the collector.
        stored: rows in the spool's numbering.
        accepted: rows that the server answered 200 to, over all lives of the shipper.
        committed: distinct rows that the server committed.
        kills: SIGKILLs so far.
        state: what is being done to the world, or what the demo waits for; "" is nothing.
        values: the newest sample's columns; empty before the first.
    """

    elapsed_s: float
    taken: int
    stored: int
    accepted: int
    committed: int
    kills: int
    state: str
    values: Mapping[str, float | None]


def render(snapshot: Snapshot) -> tuple[str, str]:
    """The counts, and the air with what is being done."""
    counts = (
        f"{snapshot.elapsed_s:5.1f} s  taken {snapshot.taken}  stored {snapshot.stored}  "
        f"accepted {snapshot.accepted}  committed {snapshot.committed}  "
        f"backlog {max(0, snapshot.stored - snapshot.committed)}  kills {snapshot.kills}"
    )
    return counts, "  |  ".join(part for part in (air(snapshot.values), snapshot.state) if part)


def air(values: Mapping[str, float | None]) -> str:
    """The last values as a person reads them; a value that was not measured is a dash."""
    if not values:
        return ""
    pressure = values.get(_PRESSURE)
    shown = (
        (values.get(_CO2), ".0f", "ppm CO2"),
        (values.get(_TEMPERATURE), ".1f", "°C"),
        (values.get(_HUMIDITY), ".0f", "%RH"),
        (None if pressure is None else pressure / 100, ".1f", "hPa"),
    )
    return " ".join(
        f"{'-' if value is None else format(value, form)} {unit}" for value, form, unit in shown
    )


class Progress:
    """Progress on a stream: two lines overwritten on a terminal, else one line every 5 s."""

    def __init__(self, stream: TextIO, columns: int = 160) -> None:
        self._stream = stream
        self._tty = stream.isatty()
        self._columns = columns
        self._next_s = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Show the run as it is now, if it is time to."""
        lines = render(snapshot)
        if self._tty:
            shown = "\n".join(line[: self._columns - 1] for line in lines)
            self._stream.write(f"{_CLEAR}{shown}{_UP}")
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_EVERY_S
            self._stream.write("  |  ".join(line for line in lines if line) + "\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """One line that stays."""
        self._stream.write((_CLEAR if self._tty else "") + text + "\n")
        self._stream.flush()
