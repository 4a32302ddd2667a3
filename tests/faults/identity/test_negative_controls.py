"""Mistakes that others made, planted into the product: the same verdict must find each of them.

Every scene is played twice, with and without its mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from collector.spool import decide as deciding
from common.hardware import Match
from common.identity import Hardware
from shipper import gate
from shipper.protocol.reconcile import START, Decision, Known, reconcile
from tests.faults.identity.cloud import Cloud
from tests.faults.identity.machine import Machine
from tests.model.mistakes_of_opening import adopt_unexplained_token, compare_seq_only
from tests.model.simulation_planting import retable

TWIN = Hardware("board-a", "card-a")
Plant = Callable[[Machine, pytest.MonkeyPatch], None]


def foreign_token(cloud: Cloud, machine: Machine) -> None:
    """A token of nobody's, and rows that never left."""
    machine.stop_shipper()
    machine.take(5)
    token = "v1|00000000000000aa|00000000000000bb|00000000000000000042"
    cloud.channel(machine.install_id).committed_token = token
    machine.start_shipper()
    cloud.run(300)


def overtaken_tail(cloud: Cloud, machine: Machine) -> None:
    """A shipped tail is lost, and the new rows outgrow its numbers before anybody ships."""
    image = machine.image()
    machine.take(6)
    cloud.drain()
    machine.roll_back(image)
    machine.start_collector()
    machine.take(20)
    machine.start_shipper()
    cloud.run(300)


def restored_in_one_boot(cloud: Cloud, machine: Machine) -> None:
    """An older copy is put back while the services are stopped."""
    image = machine.image()
    machine.take(6)
    cloud.drain()
    machine.stop()
    machine.restore(image, in_place=True)
    machine.start().take(9)
    cloud.run(300)


def cloned_while_running(cloud: Cloud, machine: Machine) -> None:
    """A copy of a live device comes up on other hardware while the original is offline."""
    machine.stop_shipper()
    second = cloud.clone(machine, "b", Hardware("board-b", "card-b"))
    machine.take(5)
    second.start().take(3)
    cloud.drain_of(second)
    machine.start_shipper()
    cloud.run(600)


def equal_twins(cloud: Cloud, machine: Machine) -> None:
    """Rows of one twin are committed while it is off, and the other one speaks meanwhile."""
    machine.power_cycle()
    second = cloud.clone(machine, "b", machine.device.hardware)
    machine.start().take(3)
    cloud.drain()
    machine.take(3)
    cloud.run(4)
    machine.power_cycle()
    second.start().take(3)
    cloud.drain()
    second.stop()
    machine.start().take(3)
    cloud.run(600)


def in_the_drain(mistake: Callable[[Any], None]) -> Plant:
    """A mistake of the shipper's, planted whenever it starts, now included."""

    def plant(machine: Machine, patch: pytest.MonkeyPatch) -> None:
        machine.mistake = mistake
        machine.start_shipper()

    return plant


def keep_the_epoch(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """Compare the boot id only, and believe the file's own numbers."""
    kept = {None: "first"}
    patch.setattr(deciding, "_epoch_reason", lambda found, _: kept.get(found.spool.lineage.newest))
    patch.setattr(deciding, "_greatest_known", lambda found, _: found.spool.last_seq)


def keep_the_install(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """Take a clone for a card that was moved."""
    patch.setattr(deciding, "match", lambda stored, present: Match.BOARD_CHANGED)


def forget_the_doubt(machine: Any) -> None:
    """Go on behind a token of another history without a flag."""

    def table(committed: str | None, known: Known) -> Decision:
        return replace(reconcile(committed, known), in_doubt=START)

    retable(machine, table)


@dataclass(frozen=True, slots=True)
class Control:
    """A scene, the mistake that breaks it, and the promise that the verdict must call broken."""

    scene: Callable[[Cloud, Machine], None]
    plant: Plant
    promise: str


CONTROLS = {
    "adopt the unexplained token": Control(
        foreign_token, in_the_drain(adopt_unexplained_token), "lost"
    ),
    "compare seq only": Control(overtaken_tail, in_the_drain(compare_seq_only), "lost"),
    "keep the epoch after a restore": Control(restored_in_one_boot, keep_the_epoch, "reused"),
    "keep the install when the card changed": Control(
        cloned_while_running, keep_the_install, "lost"
    ),
    "forget the doubt": Control(equal_twins, in_the_drain(forget_the_doubt), "doubled"),
}


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize("name", CONTROLS)
def test_the_verdict_finds_what_is_planted(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, name: str, planted: bool
) -> None:
    """Without the mistake every promise is kept; with it the verdict names the broken one."""
    control = CONTROLS[name]
    machine = cloud.machine("a", TWIN).start()
    machine.take(10)
    cloud.drain()
    if planted:
        control.plant(machine, monkeypatch)
    control.scene(cloud, machine)
    broken = cloud.verdict().broken
    assert (control.promise in broken) if planted else (broken == {}), broken


@pytest.mark.parametrize("planted", [False, True])
def test_a_clone_that_speaks_first_is_found(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """A shipper that does not look at the serials asks for the original's channel and fences it."""
    first = cloud.machine("a").start()
    first.take(10)
    cloud.drain()
    if planted:
        monkeypatch.setattr(gate, "waiting_for_collector", lambda *_: None)
    second = cloud.clone(first, "b", Hardware("board-b", "card-b"))
    second.start_shipper()
    cloud.run(60)
    first.take(5)
    cloud.run(60)
    assert bool(cloud.asked("b", first.install_id)) == planted
    assert bool(first.watcher.counts["reopened fenced"]) == planted
