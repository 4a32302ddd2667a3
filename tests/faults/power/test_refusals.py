"""A disk that refuses one call, or every call from then on: an error or success, never a lie.

After the disk is healed, the next start comes to the result of the unharmed run.
"""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from common.errors import SpoolError
from tests.faults.power.crew import gather
from tests.faults.power.strace import why_no_strace
from tests.faults.power.test_kills import shares
from tests.tools.spools import Device, samples

REFUSALS_MIN: Final = 300
RAISED_MIN: Final = 60

_REASON: Final = why_no_strace()

needs_strace = pytest.mark.skipif(_REASON is not None, reason=f"no refusals: {_REASON}")


@needs_strace
@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_a_refused_call_is_an_error_or_made_good() -> None:
    """EIO and ENOSPC at fsync, write, truncate, rename, unlink: once, and for good."""
    tallies = gather(*(("sweep", "refuse", *names) for names in shares()))
    refusals = sum(tally["refusals"] for tally in tallies)
    raised = sum(tally["raised"] for tally in tallies)
    print(f"{refusals} refusals, {raised} of them ended with the product's error")
    assert [problem for tally in tallies for problem in tally["problems"]] == []
    assert refusals > REFUSALS_MIN
    assert RAISED_MIN < raised < refusals


@needs_strace
@pytest.mark.heavy
def test_rows_told_in_spite_of_an_error_are_found() -> None:
    """Negative control: who counts rows as stored although the disk refused them, is found out."""
    (tally,) = gather(("sweep", "refuse", "told in spite of errors"))
    assert tally["problems"] != []


def test_a_reopening_that_fails_is_the_products_error(tmp_path: Path) -> None:
    """The file cannot be opened after an error: ``SpoolError``, tried again, nothing lost."""
    device = Device(tmp_path)
    sound, refusals = device.means.open_writer, list[bool]()

    def opener(path: Path) -> sqlite3.Connection:
        if refusals and refusals.pop(0):
            raise sqlite3.OperationalError("disk I/O error")
        return sound(path)

    device.means = replace(device.means, open_writer=opener)
    with device.start() as store:
        store.append(samples(0, 2))
        # The first opening is for the check of the file, the second is to stay open.
        refusals[:] = [False, True]
        with pytest.raises(SpoolError, match="disk I/O error"):
            store.reopen()
        assert refusals == []
        assert store.append(samples(2, 2)) == range(3, 5)
