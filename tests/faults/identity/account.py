"""The account that all devices ship to: server, table, time, and who asked for what."""

from pathlib import Path
from typing import Final

from shipper.protocol.requests import HttpRequest, Operation
from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.channel import Channel
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.faults.identity.verdict import Books
from tests.model.rig import PIPE
from tests.model.simulation_device import SimClock

COMMIT_S: Final = 6.0
"""From accepting to committing, as live."""


class Account:
    """See the module.

    Args:
        root: an empty directory for the devices' disks.

    Attributes:
        clock: everybody's time.
        store: the table.
        model: the server.
        books: what every device ever stored.
        log: every request with the name of the device that sent it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = SimClock()
        self.store = MemoryStore()
        self.model = IngestModel(self.store, Knobs(commit_delay_s=COMMIT_S), 0)
        self.books = Books()
        self.log: list[tuple[str, HttpRequest]] = []
        self._given = 0

    def number(self) -> int:
        """A number that was never given before: no two samples are alike, no two request ids."""
        self._given += 1
        return self._given

    def channel(self, install_id: str) -> Channel:
        """The live channel of an install, on the server."""
        return self.model.channels[ChannelName(Pipe(*PIPE), f"TH_{install_id}")]

    def asked(self, name: str, install_id: str = "") -> list[HttpRequest]:
        """What a device asked about the channel of an install, or about any."""
        word = f"TH_{install_id}".encode()
        return [asked for who, asked in self.log if who == name and word in _words(asked)]

    def opens(self, name: str) -> int:
        """How often a device opened a channel."""
        return sum(asked.operation is Operation.OPEN for asked in self.asked(name))


def _words(request: HttpRequest) -> bytes:
    """Where a channel is named: the path, and the body of all but appends, whose body is rows."""
    body = b"" if request.operation is Operation.APPEND else request.body or b""
    return request.path.encode() + body
