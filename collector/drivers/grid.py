"""A grid of equal periods: when is the next measurement due, without drift and without bursts."""

from typing import Final

_LATE_SHARE_MAX: Final = 0.1


class Grid:
    """Due times ``first + n * period`` on the monotonic clock.

    A caller that is late by more than a tenth of the period gets a new grid from that moment, or
    the next measurement would follow the late one too closely.

    Args:
        period_s: seconds between two due times.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s = 0.0

    def start(self, first_s: float) -> None:
        """Lay the grid so that this is its first due time."""
        self._due_s = first_s

    def is_due(self, now_s: float) -> bool:
        """Whether a due time has come that was not passed yet."""
        return now_s >= self._due_s

    def wait_s(self, now_s: float) -> float:
        """Seconds to the next due time, 0 when it has come."""
        return max(0.0, self._due_s - now_s)

    def advance(self, now_s: float) -> int:
        """Move past every due time up to now.

        Returns:
            How many were skipped, that is, came to nothing because the caller was late.
        """
        late_s = now_s - self._due_s
        if late_s > _LATE_SHARE_MAX * self._period_s:
            self._due_s = now_s
        self._due_s += self._period_s
        return max(0, int(late_s / self._period_s))
