"""Faults of a bus by words in a file, read again whenever it changes.

Grammar: words apart by blanks, each ``word[=number][@address]``, such as ``nack``, ``crc=1@0x58``,
``slow=1.5`` or ``gone``. The number is how many messages it strikes (for ``slow``: seconds
for each); without one it stays. ``ok``, an empty or a missing file: nothing is wrong.
"""

import re
from pathlib import Path
from typing import Final

from tests.emulators.bus import EmulatedBus, Fault, FaultKind

_WORD: Final = re.compile(r"(?P<kind>[a-z]+)(=(?P<number>[\d.]+))?(@(?P<address>0x[0-9a-f]+))?")
_HEALTHY: Final = "ok"


def parse(text: str) -> list[Fault]:
    """The faults that a text asks for.

    Raises:
        ValueError: a word that is none.
    """
    faults = []
    for word in text.split():
        if word == _HEALTHY:
            continue
        match = _WORD.fullmatch(word)
        if match is None:
            raise ValueError(f"fault word {word!r} is not of the form word[=number][@0xaddress]")
        kind = FaultKind(match["kind"])
        number = match["number"]
        fault = Fault(kind, address=int(match["address"], 16) if match["address"] else None)
        if kind is FaultKind.SLOW:
            fault.seconds = float(number or 1.0)
        elif number is not None:
            fault.times = int(number)
        faults.append(fault)
    return faults


class FaultFile:
    """Keeps a bus as wrong as a file says.

    Args:
        path: the file.
        bus: whose faults it sets.
    """

    def __init__(self, path: Path, bus: EmulatedBus) -> None:
        self._path = path
        self._bus = bus
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> None:
        """Look whether the file changed, and take over what it says; nonsense changes nothing."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            faults = parse(self._path.read_text())
        except FileNotFoundError:
            seen, faults = None, []
            if self._seen is None:
                return
        except ValueError:
            return
        self._seen = seen
        self._bus.faults = faults
