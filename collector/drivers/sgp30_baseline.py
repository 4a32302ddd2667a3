"""The SGP30's baseline: what its algorithm has learned, and when that may be kept or used.

From Sensirion's sgp30.h and linux-sgp30 documentation: worth keeping after 12 h of operation, or
1 h after one was restored; kept hourly; not restored when older than a week. A foreign or
stale one pins the readings at 400 ppm and 0 ppb (Adafruit_SGP30 issue 22), so one of another chip
is refused by its serial number. Both words 0 mean "none".
"""

from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3600.0
LEARNING_S: Final = 12 * HOUR_S
RESTORED_LEARNING_S: Final = HOUR_S
KEEP_EVERY_S: Final = HOUR_S
AGE_S_MAX: Final = 7 * 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Baseline:
    """One baseline, worth keeping on disk.

    Attributes:
        serial: 48-bit serial number of the chip that learned it.
        eco2: word of the CO2 equivalent, never 0 together with ``tvoc``.
        tvoc: word of the organics.
        saved_at_s: wall clock when it was read back, seconds since 1970 UTC.
    """

    serial: int
    eco2: int
    tvoc: int
    saved_at_s: float


def refusal(baseline: Baseline, *, serial: int, age_s: float) -> str | None:
    """Why a kept baseline must not be given to this chip.

    Args:
        baseline: as kept.
        serial: of the chip that is here.
        age_s: how old the caller holds it to be, seconds; negative when its clock went back,
            which says nothing about the age.

    Returns:
        The reason for the log, or ``None`` when it may be restored.
    """
    if not baseline.eco2 and not baseline.tvoc:
        return "it is empty (0, 0)"
    if baseline.serial != serial:
        return f"it belongs to serial {baseline.serial:012x}, this chip is {serial:012x}"
    if not 0.0 <= age_s <= AGE_S_MAX:
        return f"its age is {age_s / 86_400:.1f} days, expected 0 to {AGE_S_MAX / 86_400:g}"
    return None
