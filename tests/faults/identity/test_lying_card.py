"""A card that forgets what it had promised to keep: tails, boots, more boots than a token names.

An image taken earlier, put back by a power cut, is what such a card leaves. What was shipped since
stays on the server once; what was stored since and never left is gone with the card, and is all
that may be missing.
"""

import pytest

from common.identity import ANCESTORS_MAX
from tests.faults.identity.cloud import Cloud
from tests.faults.identity.image import BOTH, SHIP, SPOOL

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("overtaken", [False, True])
def test_numbers_of_a_lost_tail_are_given_again_and_all_arrive(
    cloud: Cloud, overtaken: bool
) -> None:
    """Seqs 11 to 16 name rows of two epochs: also when the new ones outgrow the old unseen.

    A client that compares numbers would skip them, and one that was offline meanwhile could not
    even see that it does.
    """
    machine = cloud.machine("a").start()
    machine.take(10)
    cloud.drain()
    image = machine.image()
    machine.take(6)
    cloud.drain()
    machine.roll_back(image)
    machine.start_collector()
    machine.take(20 if overtaken else 3)
    machine.start_shipper()
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.gone, verdict.copies, verdict.flagged) == ((), 0, 0)
    seqs = [key.seq for key in cloud.books.stored]
    assert len(seqs) - len(set(seqs)) >= 3, "numbers were given twice"
    assert verdict.events == {"tail_lost": 1}


@pytest.mark.parametrize("databases", [BOTH, (SPOOL,), (SHIP,)])
@pytest.mark.parametrize("boots", [1, ANCESTORS_MAX, ANCESTORS_MAX + 1])
def test_whole_boots_are_lost(cloud: Cloud, boots: int, databases: tuple[str, ...]) -> None:
    """The token's ancestors tell where it stands, up to as many as it names."""
    machine = cloud.machine("a").start()
    machine.take(10)
    cloud.drain()
    image, install = machine.image(), machine.install_id
    for _ in range(boots):
        machine.power_cycle()
        machine.start().take(4)
        cloud.drain()
    machine.take(2)
    machine.roll_back(image, databases)
    machine.start().take(9)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert verdict.copies == 0
    if databases == (SHIP,):
        assert (verdict.gone, verdict.events, verdict.flagged) == ((), {}, 0)
        assert machine.install_id == install
        return
    assert len(verdict.gone) == 2
    if boots <= ANCESTORS_MAX:
        assert machine.install_id == install
        assert verdict.events == {"boots_lost": 1}
        assert verdict.flagged == 0
    else:
        assert machine.install_id != install
        assert verdict.gaps["inherited"] == len(verdict.aside)


def test_many_roll_backs_in_one_life(cloud: Cloud) -> None:
    """Again and again, each to the boot before: nothing is lost that was not gone with the card."""
    machine = cloud.machine("a").start()
    for boot in range(8):
        machine.take(4)
        image = machine.image()
        machine.take(3)
        cloud.drain()
        machine.take(2)
        if boot % 2:
            machine.roll_back(image)
        else:
            machine.power_cycle()
        machine.start()
    machine.take(3)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == 2 * 4
    assert (verdict.copies, verdict.flagged) == (0, 0)


def test_a_tail_lost_with_rows_that_never_left(cloud: Cloud) -> None:
    """``ship.db`` was kept: the rows it knows as sent are named, the others told by the event."""
    machine = cloud.machine("a").start()
    machine.take(10)
    cloud.drain()
    image = machine.image()
    machine.take(6)
    cloud.drain()
    machine.stop_shipper()
    machine.take(5)
    machine.roll_back(image, (SPOOL,))
    machine.start().take(3)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == len(verdict.untold) == 5
    assert verdict.gaps == {"lost_by_cut": 6}
    assert verdict.events == {"tail_lost": 1}
