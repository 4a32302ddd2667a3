"""What is written down of a life on a damageable disk: what was promised, and when."""

from dataclasses import dataclass, field, replace

from common.identity import Hardware
from tests.emulators.disk.operations import Record
from tests.emulators.disk.tree import Tree


@dataclass(frozen=True, slots=True)
class Stored:
    """A sample whose storing returned.

    Attributes:
        at: length of the log then.
        taken_at: names the sample, µs since 1970 UTC.
        install: part of its key.
        epoch: part of its key.
        seq: part of its key.
    """

    at: int
    taken_at: int
    install: str
    epoch: str
    seq: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the row on the server."""
        return self.install, self.epoch, self.seq


    def before(self) -> "Stored":
        """The same promise, given before the life that is looked at."""
        return replace(self, at=0)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the world outside the disk was from some point of the log on.

    Attributes:
        at: length of the log.
        server: the server, pickled.
        hardware: board and card.
        uptime_s: the monotonic clock, which the server goes by too.
        realtime_ns: the wall clock.
        samples: how many samples had been taken.
    """

    at: int
    server: bytes
    hardware: Hardware
    uptime_s: float
    realtime_ns: int
    samples: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The end of a batch that the server was given.

    Attributes:
        at: length of the log then.
        epoch: of its last row.
        seq: of its last row.
    """

    at: int
    epoch: str
    seq: int


@dataclass(slots=True)
class Recording:
    """A life as it can be cut short anywhere.

    Attributes:
        base: the disk at the beginning.
        records: every operation on it.
        begin: length of the log from which on it is to be cut.
        stored: promises, oldest first.
        sent: what left the device, oldest first.
        moments: the world outside, oldest first.
    """

    base: Tree
    records: list[Record] = field(default_factory=list)
    begin: int = 0
    stored: list[Stored] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
