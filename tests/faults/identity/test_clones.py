"""Two devices from one image: told apart by their serials or not, and what is then promised.

Told apart, the clone becomes an install of its own before it speaks. Where the serial numbers are
equal or absent, both speak on one channel and fence each other. What is promised then:

- no row is in the table twice without its flag;
- an image of a card that was switched off: no row is lost either;
- an image of a running device: rows that the original had stored in the running epoch and that
  were not committed when the twin first spoke may be passed over, and no others;
- an alarm on the device and an event row in the table tell, and they do not fence for ever.
"""

from itertools import pairwise

import pytest

from common.identity import ABSENT, Hardware
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.faults.identity.account import COMMIT_S
from tests.faults.identity.cloud import Cloud
from tests.faults.identity.machine import LIMITS, Machine

pytestmark = pytest.mark.heavy

EQUAL = [Hardware(ABSENT, ABSENT), Hardware("10000000de300001", "1b534d454231515430de300001014a01")]
TWIN_ROWS = 30
THEFTS = 7


def original(cloud: Cloud, hardware: Hardware | None = None) -> Machine:
    """A device with ten rows home and four that never left."""
    machine = cloud.machine("a", hardware).start()
    machine.take(10)
    cloud.drain()
    machine.stop_shipper()
    machine.take(4)
    return machine


@pytest.mark.parametrize("board", ["board-a", "board-b"])
@pytest.mark.parametrize("live", [False, True])
def test_a_clone_on_another_card_leaves_the_channel_alone(
    cloud: Cloud, board: str, live: bool
) -> None:
    """Both run at once and drain; the clone never asked anything of the original's channel."""
    first = original(cloud)
    if not live:
        first.power_cycle()
    second = cloud.clone(first, "b", Hardware(board, "card-b"))
    if live:
        first.start_shipper()
    else:
        first.start()
    second.start()
    for _ in range(10):
        first.take(2)
        second.take(2)
        cloud.run(7)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.copies, verdict.flagged) == (0, 0)
    assert first.install_id != second.install_id
    assert cloud.asked("b", first.install_id) == []
    assert cloud.asked("a", second.install_id) == []
    assert (cloud.opens("a"), cloud.opens("b")) == (2, 1)
    assert verdict.gaps == {"inherited": 4}
    alarms = {name for name in (*first.watcher.counts, *second.watcher.counts) if "alarm" in name}
    assert alarms == set()


def test_a_clones_shipper_waits_for_its_collector(cloud: Cloud) -> None:
    """Started first, with the original's files before it, it sends nothing at all."""
    first = original(cloud)
    second = cloud.clone(first, "b", Hardware("board-b", "card-b"))
    second.start_shipper()
    cloud.run(600)
    assert cloud.asked("b") == []
    assert "boot" in second.reason
    second.start_collector()
    first.start_shipper()
    second.take(3)
    cloud.drain()
    assert cloud.verdict().broken == {}
    assert cloud.asked("b", first.install_id) == []


@pytest.mark.parametrize("hardware", EQUAL)
@pytest.mark.parametrize("pace_s", [2.0, 40.0])
def test_twins_that_nothing_tells_apart(cloud: Cloud, hardware: Hardware, pace_s: float) -> None:
    """An image of a card that was off: nothing lost, no copy without its flag, told, and peace."""
    first = original(cloud, hardware)
    first.power_cycle()
    second = cloud.clone(first, "b", hardware)
    first.start()
    second.start()
    for _ in range(TWIN_ROWS):
        first.take(1)
        second.take(1)
        cloud.run(pace_s)
    cloud.drain(20_000)
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert first.install_id == second.install_id
    assert verdict.events["boots_lost"] >= 1
    assert alarms(first, second)
    settled = cloud.opens("a") + cloud.opens("b")
    assert settled <= 2 * TWIN_ROWS, "at most one open for each row"
    cloud.run(3600)
    assert cloud.opens("a") + cloud.opens("b") == settled


def test_the_fate_of_a_twins_rows_is_in_doubt(cloud: Cloud) -> None:
    """Committed while it was off, and the other one's token stands there now: sent again, flagged.

    Without the flag the three rows would be doubled.
    """
    first = original(cloud, EQUAL[0])
    first.power_cycle()
    second = cloud.clone(first, "b", EQUAL[0])
    first.start().take(3)
    cloud.drain()
    first.take(3)
    cloud.run(4)
    first.power_cycle()
    second.start().take(3)
    cloud.drain()
    second.stop()
    first.start().take(3)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert verdict.copies == verdict.flagged == 3


@pytest.mark.parametrize("reboot", [False, True])
def test_twins_from_an_image_of_a_running_device(cloud: Cloud, reboot: bool) -> None:
    """The original goes on in the epoch that the twin's token names as an ended one.

    The token would pass over its unsent rows of that epoch, but the server's counters do not show
    them: nothing is acknowledged, trimmed or sent, an alarm tells, and every row is kept for a
    person. Sending them again, flagged, would move the token back, and a card that lies could then
    double rows without a flag.
    """
    first = original(cloud, EQUAL[0])
    second = cloud.clone(first, "b", EQUAL[0])
    first.take(5)
    second.start().take(3)
    cloud.drain_of(second)
    if reboot:
        first.power_cycle()
        first.start()
    else:
        first.start_shipper()
    first.take(5)
    cloud.run(900)
    verdict = cloud.verdict()
    assert verdict.doubled == ()
    assert set(verdict.lost) <= {row.key for row in first.rows()}
    assert first.watcher.counts["alarm imbalance"] >= 1


@pytest.mark.parametrize(
    ("operation", "alarm"),
    [(Operation.OPEN, "second_writer"), (Operation.APPEND, "commit_stall")],
)
def test_the_hold_off_grows_while_a_twin_keeps_coming_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, operation: Operation, alarm: str
) -> None:
    """Somebody takes the channel after each open, or after each append: longer and longer pauses.

    Taken before an append, it is told by STALE; taken after one, the rows never commit. Either way
    an alarm is raised, and each pause is longer than the commit floor, so a twin gets through.
    """
    machine = cloud.machine("a").start()
    real, thefts = machine.network.send, [0.0]

    def send(request: HttpRequest, deadline_s: float) -> HttpReply:
        reply = real(request, deadline_s)
        if request.operation is operation and len(thefts) <= THEFTS:
            thefts.append(cloud.clock.now_s)
            cloud.model.steal(cloud.channel(machine.install_id).name, cloud.clock.now_s)
        return reply

    monkeypatch.setattr(machine.network, "send", send)
    while len(thefts) <= THEFTS:
        machine.take(1)
        cloud.run(10)
    pauses = [later - sooner for sooner, later in pairwise(thefts[1:])]
    assert machine.watcher.counts[f"alarm {alarm}"] >= THEFTS - 4
    assert min(pauses[1:]) > COMMIT_S
    assert pauses[-1] > pauses[-2] > pauses[-3] > LIMITS.holdoff_s
    cloud.drain()
    assert cloud.verdict().broken == {}


def alarms(*machines: Machine) -> int:
    """How often any of them told its operator that something is wrong."""
    told = (item for machine in machines for item in machine.watcher.counts.items())
    return sum(count for name, count in told if name.startswith("alarm"))
