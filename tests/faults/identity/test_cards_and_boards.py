"""Cards and boards in all their marriages, names that collide, and ids that would."""

import os
from dataclasses import replace
from random import Random

import pytest

from collector.spool import records
from collector.spool.options import Means, Names, SpoolOptions
from collector.spool.store import open_and_settle
from common.database import SpoolNewer
from common.errors import SpoolError
from common.identity import Hardware
from common.ship_state import SHIP_VERSION
from common.spool.prepare import prepare
from tests.faults.identity.cloud import Cloud
from tests.faults.identity.image import BOTH, SPOOL, Image
from tests.faults.identity.machine import Machine
from tests.tools.spools import prepare_quickly, samples


def device(cloud: Cloud, name: str = "a") -> Machine:
    """A device with ten rows home and three that never left."""
    machine = cloud.machine(name).start()
    machine.take(10)
    cloud.drain()
    machine.stop_shipper()
    machine.take(3)
    return machine


def test_a_freshly_written_card_is_a_new_install(cloud: Cloud) -> None:
    """Same board, same card, no files: a new install by itself; the old channel is left alone."""
    machine = device(cloud)
    old = machine.install_id
    token = cloud.channel(old).committed_token
    before = len(cloud.asked("a", old))
    machine.power_cycle()
    machine.wipe()
    machine.start().take(7)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert machine.install_id != old
    assert len(verdict.gone) == 3
    assert cloud.channel(old).committed_token == token
    assert len(cloud.asked("a", old)) == before
    assert (verdict.copies, verdict.flagged) == (0, 0)


def test_a_card_in_another_board_goes_on(cloud: Cloud) -> None:
    """Same install, a new epoch; what had not left leaves, once, over the same channel."""
    machine = device(cloud)
    old, epoch = machine.install_id, machine.rows()[-1].key.epoch
    machine.power_cycle(Hardware("board-b", "card-a"))
    machine.start().take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert machine.install_id == old
    assert machine.rows()[-1].key.epoch != epoch
    assert (verdict.arrived, verdict.copies, verdict.flagged) == (18, 0, 0)
    assert "board_changed" in machine.told


@pytest.mark.parametrize("board", ["board-a", "board-b"])
def test_content_on_another_card_is_a_new_install(cloud: Cloud, board: str) -> None:
    """With or without the board: what was inherited is kept aside, told by a gap row, not sent."""
    machine = device(cloud)
    old, asked = machine.install_id, len(cloud.asked("a"))
    machine.power_cycle(Hardware(board, "card-b"))
    machine.start().take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert machine.install_id != old
    assert len(cloud.asked("a", old)) == asked
    assert len(verdict.aside) == 3
    assert verdict.gaps == {"inherited": 3}


def test_two_live_devices_swap_their_cards(cloud: Cloud) -> None:
    """Each card keeps its install and its channel; no row of one travels over the other's."""
    first, second = device(cloud, "a"), device(cloud, "b")
    installs = first.install_id, second.install_id
    cards = first.image(), second.image()
    for machine, card, number in ((first, cards[1], "b"), (second, cards[0], "a")):
        machine.power_cycle(Hardware(f"board-{machine.name}", f"card-{number}"))
        card.put(machine.device.directory, BOTH, in_place=False)
    for machine in (first, second):
        machine.start().take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (first.install_id, second.install_id) == installs[::-1]
    assert (verdict.arrived, verdict.copies, verdict.flagged) == (36, 0, 0)


def test_an_image_from_before_the_first_boot_names_nobody(cloud: Cloud) -> None:
    """A golden image has no spool: each device that boots from it becomes its own."""
    made = [cloud.machine(name) for name in "abc"]
    for machine in made:
        Image({}).put(machine.device.directory, BOTH, in_place=False)
        machine.start().take(4)
    cloud.drain()
    assert cloud.verdict().broken == {}
    assert len({machine.install_id for machine in made}) == 3
    assert all(cloud.opens(machine.name) == 1 for machine in made)


def test_names_are_data(cloud: Cloud) -> None:
    """Two devices of one hostname and one pipe, and one that is renamed: channels do not care.

    Both settings name the same account, pipe, device id and hostname, as copied files do.
    """
    first, second = device(cloud, "a"), device(cloud, "b")
    install = first.install_id
    first.stop()
    renamed = replace(first.device.options, names=Names("kitchen", "pi-kitchen", "0.1.0"))
    with open_and_settle(renamed, first.device.clock, first.device.means) as store:
        store.append(samples(cloud.number() + 10_000, 2))
        first.note()
        assert store.install.install_id == install
    first.start()
    second.start_shipper()
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.copies, verdict.flagged) == (0, 0)
    assert {name.channel for name in cloud.model.channels} == {
        f"TH_{first.install_id}",
        f"TH_{second.install_id}",
    }


def test_channel_names_are_upper_case_only(cloud: Cloud) -> None:
    """An open ignores case, a status does not: whatever the name, both must mean one channel."""
    for name in "abcdef":
        cloud.machine(name).start().take(1)
    cloud.drain()
    names = [name.channel for name in cloud.model.channels]
    assert len(names) == 6
    assert names == [name.upper() for name in names]


def test_a_container_of_the_same_boot_with_a_copied_volume(cloud: Cloud) -> None:
    """The boot id is the host's, so it does not change: the missing runtime record tells.

    Same serials, same boot, a copy of the files: a new epoch, and the original's rows stay once.
    """
    machine = device(cloud)
    volume = machine.image()
    machine.start_shipper()
    machine.take(4)
    cloud.drain()
    machine.stop()
    copied = cloud.machine("copy", machine.device.hardware)
    volume.put(copied.device.directory, BOTH, in_place=False)
    copied.start().take(6)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert copied.install_id == machine.install_id
    assert "new_epoch" in copied.told
    assert verdict.events == {"tail_lost": 1}
    assert (verdict.copies, verdict.flagged) == (0, 0)


def test_ids_come_from_a_generator_that_waits_until_it_is_seeded() -> None:
    """getrandom(2) without flags waits until the kernel is seeded; urandom does not."""
    assert Means().random_bytes is os.getrandom
    assert len({Means().random_bytes(8) for _ in range(1000)}) == 1000


def test_a_generator_that_repeats_itself_is_refused_not_believed(cloud: Cloud) -> None:
    """The same eight bytes at every boot: the second epoch cannot be made, and no row is stored.

    Better a service that says why it does not start than two samples of one name.
    """
    machine = cloud.machine("a")
    machine.device.means = replace(machine.device.means, random_bytes=lambda n: b"\x01" * n)
    machine.start().take(5)
    cloud.drain()
    machine.power_cycle()
    with pytest.raises(SpoolError, match="UNIQUE"):
        machine.start()
    machine.device.means = Means(prepare=prepare_quickly)
    machine.start().take(5)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.arrived, verdict.copies, verdict.flagged) == (10, 0, 0)


@pytest.mark.parametrize("mixed", [True, False])
def test_boards_that_draw_equal_bytes_at_their_first_boot(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, mixed: bool
) -> None:
    """One image, one seed of the generator: the serial numbers make installs of their own.

    Args:
        cloud: the account.
        monkeypatch: plants the mistake.
        mixed: whether the serials are in the id; if not, the boards share a channel and its keys,
            and the verdict says that keys were used twice.
    """
    if not mixed:
        monkeypatch.setattr(records, "_install_id", lambda drawn, _: drawn.hex().upper())
    pair = [cloud.machine(name) for name in "ab"]
    for machine in pair:
        twin = Random(5)
        machine.device.means = replace(machine.device.means, random_bytes=twin.randbytes)
        machine.start().take(4)
        cloud.run(120)
    assert (len({machine.install_id for machine in pair}) == 2) == mixed
    if not mixed:
        assert "reused" in cloud.verdict().broken
        return
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.arrived, verdict.copies, verdict.flagged) == (8, 0, 0)
    assert [cloud.opens(machine.name) for machine in pair] == [1, 1]


@pytest.mark.parametrize("database", BOTH)
def test_a_newer_files_owner_is_refused_and_the_file_left_alone(
    cloud: Cloud, database: str
) -> None:
    """A downgrade: the older program stops or waits, and the newer one finds all as it was."""
    machine = device(cloud)
    machine.stop()
    machine.bump(database, 99)
    left = machine.image().files[database]
    if database == SPOOL:
        with pytest.raises(SpoolNewer, match="newer version"):
            machine.start()
    else:
        machine.start_collector()
        machine.take(2)
        assert "ship_state_unreadable" in machine.told
        with pytest.raises(SpoolNewer, match="newer version"):
            prepare(machine.device.directory / database, "ship", SHIP_VERSION)
    machine.stop()
    assert machine.image().files[database] == left
    machine.bump(database, 1)
    machine.start().take(2)
    cloud.drain()
    verdict = cloud.verdict()
    assert verdict.broken == {}
    assert (verdict.gone, verdict.copies, verdict.flagged) == ((), 0, 0)


def test_the_options_name_no_machine_id() -> None:
    """Serials, boot and names are all that it is told; a cloned machine id is none of them."""
    assert set(SpoolOptions.__dataclass_fields__) == {
        "directory", "names", "hardware", "limits", "runtime_directory",
    }

