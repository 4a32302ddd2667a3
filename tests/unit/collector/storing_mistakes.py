"""Mistakes that somebody could make on the storing side: the ring, the writer, the gap at start."""

from dataclasses import replace
from typing import Any

import pytest

from collector import ring, unstored
from collector.ring import Loss, Ring
from collector.serving import Serving
from collector.stamp import Stamp
from collector.unstored import LastStored
from collector.writer import Writer
from common.errors import SpoolError
from common.spool.row import NewRow


def rows_of_a_failed_commit_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What the disk refused counts as done with."""
    patch.setattr(Ring, "failed", Ring.stored)


def a_failed_commit_forgets_its_gap(patch: pytest.MonkeyPatch) -> None:
    """The rows come back, the gap row before them does not."""
    honest = Ring.failed

    def failed(self: Ring) -> None:
        self._chunk_loss = None
        honest(self)

    patch.setattr(Ring, "failed", failed)


def a_stored_chunk_comes_again(patch: pytest.MonkeyPatch) -> None:
    """Every commit is taken for a failed one once it is on the disk."""
    honest, failed = Ring.stored, Ring.failed
    seen: list[Ring] = []

    def stored(self: Ring) -> None:
        if self not in seen and self._chunk:
            seen.append(self)
            patch.setattr(Ring, "stored", honest)
            failed(self)
        else:
            honest(self)

    patch.setattr(Ring, "stored", stored)


def rows_are_dropped_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """A full ring gives rows up, and no gap row says so."""
    honest = Ring._fit

    def fit(self: Ring) -> None:
        honest(self)
        self._loss = None

    patch.setattr(Ring, "_fit", fit)


def dropped_rows_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """The gap row is right, the metric stays at zero."""
    honest = Ring._fit

    def fit(self: Ring) -> None:
        honest(self)
        self.dropped = 0

    patch.setattr(Ring, "_fit", fit)


def a_gap_row_counts_as_one(patch: pytest.MonkeyPatch) -> None:
    """Whatever is given up is one tick."""
    patch.setattr(ring, "ticks_of", lambda _: 1)


def a_later_loss_replaces_an_earlier_one(patch: pytest.MonkeyPatch) -> None:
    """Two losses are told as the second."""
    patch.setattr(Loss, "with_later", lambda self, later: later or self)


def a_failing_disk_is_asked_all_the_time(patch: pytest.MonkeyPatch) -> None:
    """No pause before the next attempt."""
    patch.setattr("collector.writer.RETRY_S_MAX", 0.0)


def every_failed_attempt_is_logged(patch: pytest.MonkeyPatch) -> None:
    """A full disk fills the journal."""
    honest = Writer._failed

    def failed(self: Writer, error: SpoolError) -> None:
        self._reason = ""
        honest(self, error)

    patch.setattr(Writer, "_failed", failed)


def a_failing_disk_is_no_progress(patch: pytest.MonkeyPatch) -> None:
    """A service that is restarted for a full disk loses what its memory holds."""
    honest = Writer.progressing
    patch.setattr(Writer, "progressing", lambda s, now_s: not s.trouble and honest(s, now_s))


def the_watchdog_is_fed_by_a_timer(patch: pytest.MonkeyPatch) -> None:
    """Each round of the loop feeds it, whatever storing does."""
    patch.setattr(Serving, "progress", lambda s: s._notifier.watchdog())


def an_attempt_counts_as_progress(patch: pytest.MonkeyPatch) -> None:
    """A commit under way is thought to end some day."""
    honest = Writer.progressing
    patch.setattr(
        Writer, "progressing", lambda s, now_s: s._attempt_s is not None or honest(s, now_s)
    )


def a_slow_commit_is_a_hang(patch: pytest.MonkeyPatch) -> None:
    """A card that stalls for seconds ends the service."""
    patch.setattr("collector.writer.ATTEMPT_S_MAX", 3.0)


def waiting_rows_are_progress(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether anybody stores."""
    patch.setattr(Writer, "progressing", lambda *_: True)


def no_gap_at_the_start(patch: pytest.MonkeyPatch) -> None:
    """Silence about what was never stored."""
    patch.setattr(unstored, "unstored_row", lambda *_: None)


def _pause_longer_by(patch: pytest.MonkeyPatch, by_ns: int) -> None:
    """A pause that is measured wrongly."""
    honest = unstored._pause_ns

    def pause_ns(last: LastStored, now: Stamp, boot_id: str) -> int | None:
        found = honest(last, now, boot_id)
        return None if found is None else found + by_ns

    patch.setattr(unstored, "_pause_ns", pause_ns)


def the_gap_counts_one_too_many(patch: pytest.MonkeyPatch) -> None:
    """The first tick to come counts as missing."""
    _pause_longer_by(patch, 5 * 10**9)


def the_gap_counts_one_too_few(patch: pytest.MonkeyPatch) -> None:
    """The last of them is left out."""
    _pause_longer_by(patch, -5 * 10**9)


def every_stop_was_clean(patch: pytest.MonkeyPatch) -> None:
    """A kill is called a stop."""
    _with_clean(patch, clean=True)


def no_stop_was_clean(patch: pytest.MonkeyPatch) -> None:
    """A stop is called a kill."""
    _with_clean(patch, clean=False)


def _with_clean(patch: pytest.MonkeyPatch, *, clean: bool) -> None:
    """The note of the clean stop is not looked at."""
    honest = unstored.unstored_row

    def unstored_row(last: LastStored | None, *rest: Any) -> NewRow | None:
        return honest(None if last is None else replace(last, clean=clean), *rest)

    patch.setattr(unstored, "unstored_row", unstored_row)


def the_wall_clock_counts_within_a_boot(patch: pytest.MonkeyPatch) -> None:
    """A step of the clock is taken for a pause."""
    patch.setattr(
        unstored, "_pause_ns", lambda last, now, _: now.realtime_ns - last.stamp.realtime_ns
    )


def the_uptime_counts_across_boots(patch: pytest.MonkeyPatch) -> None:
    """Uptimes of two boots are compared as if they were one."""
    patch.setattr(
        unstored,
        "_pause_ns",
        lambda last, now, _: max(0, now.boottime_ns - last.stamp.boottime_ns),
    )


def an_unsynchronised_clock_is_believed(patch: pytest.MonkeyPatch) -> None:
    """A count is made up from a clock that nobody had set."""
    the_wall_clock_counts_within_a_boot(patch)
