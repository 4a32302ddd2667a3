"""Ticks that passed unseen while the collector ran, coalesced."""

from collector.gaps import Gap, GapReason, gap_row
from collector.stamp import Stamp
from common.spool.row import NewRow


class MissedTicks:
    """Coalesces ticks missed while running into one gap row a minute.

    Args:
        every_s: longest time that a run of missed ticks is kept back, monotonic seconds.
    """

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._count = 0
        self._from_ns = 0
        self._since_s = 0.0
        self.total = 0

    def add(self, count: int, from_ns: int, now_s: float) -> None:
        """Count ticks that passed unseen, the first of them at ``from_ns`` of the wall clock."""
        if count <= 0:
            return
        if not self._count:
            self._from_ns, self._since_s = from_ns, now_s
        self._count += count
        self.total += count

    def due(self, now_s: float) -> bool:
        """Whether the gap row ought to be written."""
        return self._count > 0 and now_s - self._since_s >= self._every_s

    def take(self, stamp: Stamp) -> NewRow | None:
        """The gap row of what was counted, which is then forgotten; ``None``: nothing was."""
        if not self._count:
            return None
        gap = Gap(
            GapReason.MISSED_TICKS, self._count, from_ns=self._from_ns, to_ns=stamp.realtime_ns
        )
        self._count = 0
        return gap_row(gap, stamp)
