"""Rule 2: the shipper is silent until epoch and serial numbers are of this boot and hardware."""

from pathlib import Path

import pytest

from common.hardware import Match, match, read_hardware
from common.identity import ABSENT, Hardware, Lineage
from common.settings import DeviceSettings
from shipper.permission import waiting_for_collector
from tests.tools.spools import HARDWARE, Device, samples


def test_rule_02_a_clones_shipper_stays_silent(tmp_path: Path) -> None:
    """A clone whose collector has not run yet must not take the original's channel."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
    reader = device.reader()
    boot = device.clock.boot_id()
    assert waiting_for_collector(reader.install(), reader.lineage(), HARDWARE, boot) is None
    clone = Hardware("board-2", "card-2")
    reason = waiting_for_collector(reader.install(), reader.lineage(), clone, boot)
    assert reason is not None
    assert "another card" in reason
    device.hardware = clone
    with device.start() as store:
        assert waiting_for_collector(store.install, device.reader().lineage(), clone, boot) is None


def test_rule_02_the_newest_epoch_must_be_of_this_boot(tmp_path: Path) -> None:
    """After a reboot it waits for the collector's epoch, and for a moved card's new board."""
    device = Device(tmp_path)
    with device.start() as store:
        install, lineage = store.install, store.lineage()
    device.reboot()
    boot = device.clock.boot_id()
    assert "earlier boot" in str(waiting_for_collector(install, lineage, HARDWARE, boot))
    assert "epoch" in str(waiting_for_collector(install, Lineage(), HARDWARE, boot))
    device.start().close()
    reader = device.reader()
    assert waiting_for_collector(reader.install(), reader.lineage(), HARDWARE, boot) is None
    moved = Hardware("board-2", HARDWARE.card_serial)
    waits = waiting_for_collector(reader.install(), reader.lineage(), moved, boot)
    assert "another board" in str(waits)


@pytest.mark.parametrize(
    ("stored", "present", "expected", "keeps"),
    [
        (("b", "c"), ("b", "c"), Match.SAME, True),
        (("b", "c"), ("B", "c"), Match.BOARD_CHANGED, True),
        (("b", "c"), ("b", "C"), Match.CARD_CHANGED, False),
        (("b", "c"), ("B", "C"), Match.CLONED, False),
        ((ABSENT, ABSENT), (ABSENT, ABSENT), Match.SAME, True),
        ((ABSENT, ABSENT), (ABSENT, "c"), Match.CARD_CHANGED, False),
    ],
)
def test_rule_02_serial_numbers_tell_a_moved_card_from_a_clone(
    stored: tuple[str, str], present: tuple[str, str], expected: Match, *, keeps: bool
) -> None:
    """The table of four cases; absent is a value like any other."""
    found = match(Hardware(*stored), Hardware(*present))
    assert found is expected
    assert found.keeps_install is keeps


def test_serial_numbers_come_from_the_files_named(tmp_path: Path) -> None:
    """The device tree ends its text with NUL; no file, or an empty one, is absent."""
    (tmp_path / "board").write_bytes(b"10000000abcdef01\0")
    (tmp_path / "empty").write_bytes(b"\n")
    settings = DeviceSettings(
        board_serial_file=tmp_path / "board", card_serial_file=tmp_path / "none"
    )
    assert read_hardware(settings) == Hardware("10000000abcdef01", ABSENT)
    settings = DeviceSettings(
        board_serial_file=tmp_path / "empty", card_serial_file=tmp_path / "board"
    )
    assert read_hardware(settings) == Hardware(ABSENT, "10000000abcdef01")
