"""Faults by words in a file."""

import os
from pathlib import Path

import pytest

from tests.emulators.bus import EmulatedBus, Fault, FaultKind
from tests.emulators.fault_file import FaultFile, parse


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ("", []),
        ("ok", []),
        ("nack", [Fault(FaultKind.NACK)]),
        ("timeout=2", [Fault(FaultKind.TIMEOUT, times=2)]),
        ("crc=1@0x58", [Fault(FaultKind.CRC, address=0x58, times=1)]),
        ("slow=1.5", [Fault(FaultKind.SLOW, seconds=1.5)]),
        ("slow", [Fault(FaultKind.SLOW, seconds=1.0)]),
        ("gone\n", [Fault(FaultKind.GONE)]),
        ("eio@0x62 short@0x63", [
            Fault(FaultKind.EIO, address=0x62), Fault(FaultKind.SHORT, address=0x63),
        ]),
    ],
)  # fmt: skip
def test_words(words: str, faults: list[Fault]) -> None:
    """Each word is one fault, with its number and its address."""
    assert parse(words) == faults


@pytest.mark.parametrize("words", ["nak", "nack=", "nack@62", "NACK", "nack=x", "nack ok bad"])
def test_words_that_are_none(words: str) -> None:
    """A typing mistake is an error, not silence."""
    with pytest.raises(ValueError):
        parse(words)


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """New words replace the old ones, nonsense changes nothing, a removed file heals."""
    path, bus = tmp_path / "control", EmulatedBus(())
    file = FaultFile(path, bus)
    file.refresh()
    assert bus.faults == []
    for content, expected in (
        ("nack", ["nack"]),
        ("eio crc", ["eio", "crc"]),
        ("nonsens", ["eio", "crc"]),
    ):
        path.write_text(content)
        os.utime(path, ns=(0, len(content)))
        file.refresh()
        assert [fault.kind.value for fault in bus.faults] == expected
    path.unlink()
    file.refresh()
    assert bus.faults == []


def test_a_used_up_fault_stays_used_up(tmp_path: Path) -> None:
    """An unchanged file does not bring its faults back."""
    path, bus = tmp_path / "control", EmulatedBus(())
    path.write_text("nack=1")
    file = FaultFile(path, bus)
    file.refresh()
    bus.faults[0].times = 0
    file.refresh()
    assert bus.faults[0].times == 0
