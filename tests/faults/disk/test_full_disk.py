"""A full disk, at every level: what was accepted stays, what was refused is stored later or told.

Every trial runs on a tmpfs of its own, in a private mount namespace of a child process.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.disk import full_disk, mounts
from tests.faults.disk.mounts import run_inside

WHY_NOT = mounts.why_not()
STEP = 4096
LEVELS = 96
"""Levels of free space, 4 KiB apart: the kernel gives a tmpfs no smaller piece."""

pytestmark = [
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no file system of our own: {WHY_NOT}"),
    pytest.mark.heavy,
]


def _trials(tmp_path: Path, options: str, *words: object) -> list[dict[str, Any]]:
    """Run a scenario in its own tmpfs."""
    found: list[dict[str, Any]] = run_inside(tmp_path, options, *map(str, words))["trials"]
    return found


def test_no_space_at_every_level(tmp_path: Path) -> None:
    """Room for 0, 4, 8 … KiB, then the room comes back: each tick is a row or counted in a gap."""
    trials = _trials(tmp_path, "size=3m", "levels", STEP, LEVELS)
    assert len(trials) == LEVELS
    assert not [(n, trial["wrong"]) for n, trial in enumerate(trials) if trial["wrong"]]
    some_refused = [trial for trial in trials if trial["failures"]]
    partly = [trial for trial in some_refused if 0 < trial["stored"] < full_disk.DURING]
    assert len(some_refused) >= 10
    assert partly, "no level at which the disk was filled by our own rows"
    assert any(trial["dropped"] for trial in trials), "the ring never gave up a row"
    print(
        f"\nlevels {LEVELS} · with refusals {len(some_refused)} · filled on the way {len(partly)} "
        f"· refused attempts {sum(trial['failures'] for trial in trials)} "
        f"· rows given up and told {sum(trial['dropped'] for trial in trials)}"
    )


def test_no_inodes_left(tmp_path: Path) -> None:
    """0 … 7 names left: the files that are open go on, nothing is lost."""
    trials = _trials(tmp_path, "size=3m,nr_inodes=64", "inodes", 1, 8)
    assert [trial["wrong"] for trial in trials] == [[]] * 8


def test_a_bound_on_the_size_of_files(tmp_path: Path) -> None:
    """RLIMIT_FSIZE from 16 KiB on: EFBIG is a trouble like any other, and it ends."""
    trials = _trials(tmp_path, "size=3m", "file_size", 16384, 16)
    assert not [trial["wrong"] for trial in trials if trial["wrong"]]
    assert any(trial["failures"] for trial in trials)


def test_a_full_log_is_got_going_by_the_ballast(tmp_path: Path) -> None:
    """The log holds all room, nothing can be checkpointed: the ballast is given up, rows flow."""
    (trial,) = _trials(tmp_path, "size=12m", "full_log", 1, 6000)
    assert trial["log_bytes"] > 4_000_000
    assert trial["stored"] == 20


def test_negative_control_without_ballast_it_stays_stuck(tmp_path: Path) -> None:
    """The same disk without ballast: neither a checkpoint nor a commit finds room."""
    (trial,) = _trials(tmp_path, "size=12m", "full_log", 0, 6000)
    assert trial["stored"] == 0
    assert trial["failed"].get("care SpoolFull", 0) > 0


@pytest.mark.parametrize("mistake", ["ring forgets", "gap row is not stored"])
def test_negative_control_a_forgetful_ring_is_caught(tmp_path: Path, mistake: str) -> None:
    """A ring that forgets what was refused, or never tells: the same sum does not come out."""
    trials = _trials(tmp_path, "size=3m", "levels", STEP * 12, 4, mistake)
    assert any(trial["wrong"] for trial in trials)
