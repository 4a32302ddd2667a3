"""A kill at every system call that writes: what was told stays, and the next start ends the work.

Each scenario's calls are listed once; then it is run again for each of them and killed there, so
that the call does not take place. The recovery must come to the result of the unharmed run.
"""

from typing import Final

import pytest

from tests.faults.power.crew import gather
from tests.faults.power.scenarios import SCENARIOS
from tests.faults.power.strace import why_no_strace

KILLS_MIN: Final = 1000
RECOVERY_KILLS_MIN: Final = 100

_REASON: Final = why_no_strace()

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.skipif(_REASON is not None, reason=f"no kills at system calls: {_REASON}"),
]


def shares() -> tuple[list[str], list[str]]:
    """The scenarios, for two processors."""
    names = list(SCENARIOS)
    return names[::2], names[1::2]


def test_a_kill_at_each_call_loses_and_doubles_nothing() -> None:
    """Append, checkpoint, trim, thin, migrate, boot, new install, ledger, quarantine, stop."""
    tallies = gather(*(("sweep", "kill", *names) for names in shares()))
    kills = sum(tally["kills"] for tally in tallies)
    print(f"{kills} kills at {sum(tally['calls'] for tally in tallies)} writing calls")
    assert [problem for tally in tallies for problem in tally["problems"]] == []
    assert kills > KILLS_MIN


def test_a_kill_in_the_recovery_loses_and_doubles_nothing() -> None:
    """A sample of the same kills, and then one at a random call of the next start."""
    tallies = gather(*(("sweep", "recover", *names) for names in shares()))
    twice = sum(tally["kills_in_recovery"] for tally in tallies)
    print(f"{twice} recoveries were killed too")
    assert [problem for tally in tallies for problem in tally["problems"]] == []
    assert twice > RECOVERY_KILLS_MIN


@pytest.mark.parametrize(
    ("mistake", "seen"),
    [
        ("trim in two transactions", "ship is"),
        ("record before commit", "gaps is (('lost_by_cut', 1),)"),
        ("told before commit", "was told to be stored, and is not there"),
    ],
)
def test_a_planted_mistake_is_found(mistake: str, seen: str) -> None:
    """Negative controls: the same sweep and judge find each of them."""
    (tally,) = gather(("sweep", "kill", mistake))
    assert any(seen in problem for problem in tally["problems"]), tally
