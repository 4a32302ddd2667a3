"""Each row of the table that an open goes by, end to end: real files, and the server as it says.

R0 nothing yet, R0' the server forgot, R1 normal, R2 it fell back, R3 the card lost a tail, R4 it
lost whole boots, R5 the token is nobody's, R6 it cannot be read; and tokens set by hand.
"""

from dataclasses import replace

import pytest

from shipper.protocol.requests import Operation
from tests.faults.identity.cloud import Cloud
from tests.faults.identity.machine import Machine
from tests.tools.spools import TEST_LIMITS

FOREIGN = "v1|00000000000000aa|00000000000000bb|00000000000000000042"


@pytest.fixture
def machine(cloud: Cloud) -> Machine:
    """A device with ten rows home, which keeps committed rows for a while."""
    made = cloud.machine("a")
    made.device.limits = replace(TEST_LIMITS, retain_rows=1000)
    made.start().take(10)
    cloud.drain()
    return made


def appends(cloud: Cloud, machine: Machine) -> int:
    """How many batches a device sent."""
    return sum(r.operation is Operation.APPEND for r in cloud.asked(machine.name))


def test_r0_the_first_open_sends_everything(cloud: Cloud, machine: Machine) -> None:
    """No token, no acknowledgement: all rows, none flagged, nothing to tell."""
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.arrived, verdict.flagged, verdict.events) == (10, 0, {})


def test_r0_prime_a_forgotten_channel(cloud: Cloud, machine: Machine) -> None:
    """After 30 idle days, or a new table: behind the acknowledgement, what is stored is flagged."""
    machine.stop()
    cloud.model.lose(cloud.channel(machine.install_id).name)
    machine.start().take(5)
    cloud.drain()
    machine.take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.flagged, verdict.copies) == (5, 0)
    assert verdict.events == {"channel_lost": 1, "channel_recreated": 1}
    assert machine.watcher.counts["alarm channel_lost"] == 1


def test_r0_prime_a_channel_replaced_before_anything_was_acknowledged(cloud: Cloud) -> None:
    """Rows had left, their commit was never seen, the table is new: they go again, flagged."""
    machine = cloud.machine("a").start()
    machine.take(6)
    cloud.run(5)
    assert machine.acknowledged() is None
    machine.kill()
    cloud.run(30)
    cloud.model.lose(cloud.channel(machine.install_id).name)
    machine.start()
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert 0 < verdict.copies <= verdict.flagged
    assert verdict.events["channel_lost"] == 1


def test_r1_a_restart_goes_on_behind_the_token(cloud: Cloud, machine: Machine) -> None:
    """Committed while nobody looked: the token tells, and nothing is sent again or flagged."""
    machine.take(6)
    cloud.run(4)
    machine.kill()
    cloud.run(30)
    machine.start().take(3)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.arrived, verdict.copies, verdict.flagged) == (19, 0, 0)
    assert verdict.events == {}


@pytest.mark.parametrize("token", [None, ""])
def test_r0_prime_a_token_wiped_by_hand(cloud: Cloud, machine: Machine, token: str | None) -> None:
    """An operator sets it to NULL or to nothing: as if forgotten, on the same channel."""
    machine.stop()
    cloud.channel(machine.install_id).committed_token = token
    machine.start().take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.flagged, verdict.copies) == (5, 0)
    assert verdict.events == {"channel_lost": 1}


@pytest.mark.parametrize("running", [False, True])
def test_r2_a_server_that_fell_back(cloud: Cloud, machine: Machine, running: bool) -> None:
    """Its token wins, stopped or running: what the spool still has goes again, all flagged."""
    early = cloud.channel(machine.install_id).committed_token
    machine.take(8)
    cloud.drain()
    if not running:
        machine.stop()
    cloud.channel(machine.install_id).committed_token = early
    if not running:
        machine.start()
    cloud.run(120)
    machine.take(2)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert verdict.copies == 8
    assert 8 <= verdict.flagged <= 10
    assert verdict.events == {"server_regression": 1}
    assert machine.watcher.counts["alarm server_regression"] == 1


def test_r3_a_tail_that_was_shipped_is_lost(cloud: Cloud, machine: Machine) -> None:
    """The card forgot rows that the server has: later rows get numbers of a new epoch."""
    image = machine.image()
    machine.take(6)
    cloud.drain()
    machine.roll_back(image)
    machine.start().take(9)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.gone, verdict.copies, verdict.flagged) == ((), 0, 0)
    assert verdict.events == {"tail_lost": 1}


def test_r4_whole_boots_are_lost(cloud: Cloud, machine: Machine) -> None:
    """The token names an epoch that nobody here knows, and an ancestor that is known."""
    image = machine.image()
    for _ in range(3):
        machine.power_cycle()
        machine.start().take(4)
        cloud.drain()
    machine.roll_back(image)
    machine.start().take(9)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.gone, verdict.copies, verdict.flagged) == ((), 0, 0)
    assert verdict.events == {"boots_lost": 1}
    assert machine.watcher.counts["alarm boots_lost"] == 1


@pytest.mark.parametrize("running", [False, True])
def test_r5_a_token_that_nothing_explains(cloud: Cloud, machine: Machine, running: bool) -> None:
    """Set by hand or by another tool: never adopted; a new install with a channel of its own.

    What the old one had not sent is kept aside, and a gap row tells how much.
    """
    old, before = machine.install_id, appends(cloud, machine)
    if not running:
        machine.stop()
    cloud.channel(old).committed_token = FOREIGN
    if running:
        cloud.run(60)
    else:
        machine.start()
    machine.take(4)
    cloud.until(lambda: machine.install_id != old)
    machine.take(3)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert machine.install_id != old
    assert cloud.channel(old).committed_token == FOREIGN
    assert machine.watcher.counts["alarm identity_conflict"] >= 1
    assert verdict.gaps["inherited"] == len(verdict.aside) >= (1 if running else 4)
    assert appends(cloud, machine) > before


@pytest.mark.parametrize("token", ["v2|x|y|3", "Sensor_0_1792000000", "v1|short||1"])
def test_r6_a_token_that_cannot_be_read(cloud: Cloud, machine: Machine, token: str) -> None:
    """A newer version's, or somebody's own: not one row is sent until a person has looked."""
    channel, before = cloud.channel(machine.install_id), appends(cloud, machine)
    ours, install = channel.committed_token, machine.install_id
    machine.stop()
    channel.committed_token = token
    machine.start().take(5)
    cloud.run(1800)
    assert appends(cloud, machine) == before
    assert machine.watcher.counts["alarm token_unreadable"] >= 1
    assert cloud.opens(machine.name) < 12
    channel.committed_token = ours
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert machine.install_id == install
    assert (verdict.copies, verdict.flagged) == (0, 0)
    assert verdict.events == {"token_unreadable": 1}


def by_hand(cloud: Cloud, machine: Machine, seq: int) -> None:
    """An operator sets the token to a number of the running epoch, by SQL; five rows wait."""
    machine.stop_shipper()
    machine.take(5)
    epoch = machine.rows()[-1].key.epoch
    cloud.channel(machine.install_id).committed_token = f"v1|{epoch}||{seq:020d}"
    machine.start_shipper()


def test_a_token_set_back_by_hand(cloud: Cloud, machine: Machine) -> None:
    """As R2: what the spool still has goes again, flagged, and it is told."""
    by_hand(cloud, machine, 4)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert verdict.copies == 6
    assert verdict.events == {"server_regression": 1}


@pytest.mark.parametrize("seq", [13, 99])
def test_a_token_set_forward_by_hand(cloud: Cloud, machine: Machine, seq: int) -> None:
    """Rows that the counters do not show are not acknowledged, nor trimmed: imbalance, alarm.

    Nothing more is sent until the token is put right, and then all of it is.
    """
    by_hand(cloud, machine, seq)
    cloud.run(900)
    assert machine.watcher.counts["alarm imbalance"] >= 1
    state = machine.acknowledged()
    assert state is not None
    assert state[1] == 10
    kept = {row.key.seq for row in machine.rows()}
    assert {11, 12, 13, 14, 15} <= kept
    cloud.channel(machine.install_id).committed_token = None
    machine.start_shipper()
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert verdict.events["imbalance"] == 1
