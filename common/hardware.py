"""The serial numbers that tell a moved card from a cloned one.

A card that moved to another board is the same install on a new board. A card whose content sits on
another card is a copy: it must not speak on the channel of the original.
"""

from enum import StrEnum
from pathlib import Path

from common.identity import ABSENT, Hardware
from common.settings import DeviceSettings

_SERIAL_BYTES_MAX = 256


class Match(StrEnum):
    """What the stored and the present serial numbers say together."""

    SAME = "same"
    """The card and the board that are known: go on."""
    BOARD_CHANGED = "board_changed"
    """The card moved to another board: same install, new epoch."""
    CARD_CHANGED = "card_changed"
    """The content was restored to another card in this board: a new install."""
    CLONED = "cloned"
    """Another card and another board: a clone, a new install."""

    @property
    def keeps_install(self) -> bool:
        """Whether the stored install may go on."""
        return self in (Match.SAME, Match.BOARD_CHANGED)


def match(stored: Hardware, present: Hardware) -> Match:
    """Compare serial numbers; ``ABSENT`` is a value like any other."""
    same_board = stored.board_serial == present.board_serial
    if stored.card_serial == present.card_serial:
        return Match.SAME if same_board else Match.BOARD_CHANGED
    return Match.CARD_CHANGED if same_board else Match.CLONED


def read_hardware(settings: DeviceSettings) -> Hardware:
    """Read the serial numbers from the files that the settings name.

    Returns:
        The serials; one that has no file, an empty file or an unreadable one is ``ABSENT``.
    """
    return Hardware(_serial(settings.board_serial_file), _serial(settings.card_serial_file))


def _serial(path: Path) -> str:
    """Text of one file; the device tree ends its strings with a NUL."""
    try:
        with path.open("rb") as file:
            content = file.read(_SERIAL_BYTES_MAX)
    except OSError:
        return ABSENT
    text = content.replace(b"\0", b"").decode("ascii", "replace").strip()
    return text or ABSENT
