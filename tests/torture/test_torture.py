"""``make torture``: 0 lost, 0 doubled under the menu that other agents fail; and its own proof."""

import sys
from itertools import pairwise
from random import Random

import pytest

from tests.demo.bench import Options, world
from tests.demo.chaos import Deed
from tests.demo.progress import Snapshot
from tests.system.broken_shipper import BELIEVES_200, FRESH_TOKEN
from tests.system.support import needs_file_bus, python
from tests.torture.__main__ import INTERVAL_S
from tests.torture.figures import PEERS
from tests.torture.plan import KILL_EVERY_S, kills
from tests.torture.report import table
from tests.torture.run import CHANGES, Outcome, Torture, torture

SECONDS = 30.0
BACKLOG = 2000
KEPT = Outcome(8000, 900, 5000, (12, 13), 0, 0, (31, 31), (90, 60), ())


def _nobody_looks(_: Snapshot) -> None:
    """No progress line."""


def test_the_kills_follow_from_the_seed() -> None:
    """One of the two every 2 to 5 s, both of them in turn by chance."""
    plan = kills(7, 90)
    assert plan == kills(7, 90) != kills(8, 90)
    gaps = [after.at_s - before.at_s for before, after in pairwise(plan)]
    assert all(KILL_EVERY_S[0] <= gap <= KILL_EVERY_S[1] for gap in gaps)
    assert {act.deed for act in plan} == {Deed.KILL_COLLECTOR, Deed.KILL_SHIPPER}


def test_the_table_shows_ours_first_and_says_what_is_backlog() -> None:
    """A person sees our figures beside theirs, and what is not comparable."""
    lines = table(KEPT)
    assert lines[1].startswith("thermal (5,000 rows under fire, the rest after healing) ")
    assert lines[1].split()[-4:] == ["8,900", "25", "0", "0"]
    assert all(any(line.startswith(peer.system) for line in lines) for peer in PEERS)
    said = "\n".join(lines)
    assert "8,000 rows lay in the spool before" in said
    assert "900 were taken live" in said
    assert "measured 2026 on the same menu by us: file tail → HTTP sink" in said


def test_help_teaches() -> None:
    """--help says what happens, what it compares with, and what the exit status means."""
    said = python("-m", "tests.torture", "--help").stdout
    for word in ("SIGKILL", "examples:", "--backlog N", "exit status: 0", "503"):
        assert word in said


@pytest.mark.parametrize("words", [("--seconds", "1"), ("--backlog", "-1"), ("--seconds", "x")])
def test_wrong_words_are_refused(words: tuple[str, str]) -> None:
    """A number out of its bounds is refused."""
    done = python("-m", "tests.torture", *words)
    assert done.returncode == 2
    assert words[0] in done.stderr


@pytest.mark.heavy
@pytest.mark.timeout(240)
@needs_file_bus
def test_kills_and_a_bad_server_lose_and_double_nothing() -> None:
    """The whole torture, shorter: every row once, every hole told, nobody ended by itself."""
    seed = Random().randrange(10_000)
    with world(Options(INTERVAL_S, commit_s=0.5, changes=CHANGES)) as made:
        found = torture(made, Torture(SECONDS, BACKLOG, seed), _nobody_looks)
    print("\n".join(table(found)), f"seed {seed}")
    assert found.troubles == ()
    assert (found.lost, found.duplicated) == (0, 0)
    assert found.holes[0] == found.holes[1]
    assert sum(found.kills) >= SECONDS / KILL_EVERY_S[1] - 1
    assert found.live > 0
    assert min(found.met) > 0


@pytest.mark.heavy
@pytest.mark.timeout(240)
@needs_file_bus
@pytest.mark.parametrize(("mistake", "what"), [(FRESH_TOKEN, "duplicated"), (BELIEVES_200, "lost")])
def test_a_shipper_with_a_mistake_is_found_out(mistake: str, what: str) -> None:
    """Negative controls: the same torture and arithmetic show more than 0 for a wrong shipper."""
    broken = (sys.executable, "-m", "tests.system.broken_shipper", mistake)
    commit_s = 0.0 if mistake == FRESH_TOKEN else 3.0
    with world(Options(INTERVAL_S, commit_s=commit_s, changes=CHANGES, shipper=broken)) as made:
        found = torture(made, Torture(15.0, 500, 3, drain_s=8.0), _nobody_looks)
    assert getattr(found, what) > 0
    assert found.troubles
