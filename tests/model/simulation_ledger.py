"""A simulated ``ship.db``, durable and mortal like the spool; the words of the real ledger."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from common.identity import Hardware, Install
from common.ship_state import (
    Acknowledgement,
    Mark,
    Request,
    ShippingEvent,
    ShipState,
    ShipStateUnreadable,
)
from shipper.dead_letters import DeadLetter
from shipper.progress import Progress
from tests.model.simulation_mortality import Mortality
from tests.model.simulation_spool import HISTORY


@dataclass(frozen=True, slots=True)
class _ShipState:
    """All of ``ship.db``.

    Attributes:
        install_id: whose it is; "": nobody's yet.
        damaged: it cannot be read, until its owner sets it aside.
    """

    install_id: str = ""
    hardware: Hardware | None = None
    damaged: bool = False
    progress: Progress = field(default_factory=Progress)
    letters: tuple[DeadLetter, ...] = ()
    events: tuple[tuple[str, str], ...] = ()
    requests: tuple[tuple[str, str], ...] = ()


class _Letters:
    """``Ledger.dead_letters``."""

    def __init__(self, ledger: "SimLedger") -> None:
        self._ledger = ledger

    def list(self, after: int = 0, limit: int = 100) -> "list[DeadLetter]":
        """See ``DeadLetters``."""
        return [x for x in self._ledger.state.letters if (x.id or 0) > after][:limit]


class SimLedger:
    """``ship.db``: the shipper's writes; each may be the last thing that its process does.

    Attributes:
        told: kinds of events, each time one was told.
        letters_aside: dead letters of files that are no longer in use.

    Args:
        mortality: the shipper's.
        prefix: begins the ids of events and requests.
    """

    def __init__(self, mortality: Mortality, prefix: str = "") -> None:
        self.state = _ShipState()
        self.history: deque[_ShipState] = deque(maxlen=HISTORY)
        self.dead_letters = _Letters(self)
        self.told: list[str] = []
        self.letters_aside: list[DeadLetter] = []
        self._mortality = mortality
        self._names = 0
        self._prefix = prefix

    def roll_back(self, writes: int) -> None:
        """A card that lied: the last writes never happened."""
        for _ in range(min(writes, len(self.history))):
            self.state = self.history.pop()

    def lose(self, *, damaged: bool = False) -> None:
        """The file is gone, or damaged; only a new one is ever made of it."""
        self.letters_aside += self.state.letters
        self.state = _ShipState(damaged=damaged)
        self.history.clear()

    def ship_state(self) -> ShipState | None:
        """What the collector reads of it, see ``read_ship_state``.

        Raises:
            ShipStateUnreadable: it is damaged.
        """
        state = self.state
        if state.damaged:
            raise ShipStateUnreadable("simulated: damaged", op="read", path="ship.db")
        if state.hardware is None:
            return None
        return ShipState(
            state.install_id,
            state.hardware.board_serial,
            state.hardware.card_serial,
            state.progress.acknowledged,
            state.progress.exposed,
            tuple(ShippingEvent(name, kind, 0, 0, 1, "{}") for name, kind in state.events),
            tuple(Request(name, kind, "") for name, kind in state.requests),
        )

    def settle(self, install: Install, realtime_ns: int) -> None:
        """See ``Ledger``."""
        state = self.state
        if state.install_id != install.install_id:
            self.letters_aside += state.letters
            state = _ShipState(install.install_id)
        if state is not self.state or state.hardware != install.hardware:
            self._write(replace(state, hardware=install.hardware))

    def progress(self) -> Progress:
        """See ``Ledger``."""
        self._mortality.touch("progress")
        return self.state.progress

    def expose(self, epoch: str, seq: int) -> None:
        """See ``Ledger``."""
        known = self.state.progress.exposed
        if known is None or known.epoch != epoch or known.seq < seq:
            self._progress(exposed=Mark(epoch, seq))

    def acknowledge(
        self,
        acknowledgement: Acknowledgement,
        *,
        rows_inserted: int,
        rows_error: int,
        held: Iterable[DeadLetter] = (),
        in_doubt: Mark | None = None,
    ) -> None:
        """See ``Ledger``."""
        letters = self.state.letters
        for letter in held:
            letters = _with(letters, letter)
        progress = replace(
            self.state.progress,
            acknowledged=acknowledgement,
            rows_inserted_base=rows_inserted,
            rows_error_base=rows_error,
            in_doubt=in_doubt,
        )
        self._write(replace(self.state, progress=progress, letters=letters))

    def retarget(
        self,
        target: str,
        created_on_ms: int | None,
        in_doubt: Mark | None,
        *,
        rows_inserted: int = 0,
        rows_error: int = 0,
    ) -> None:
        """See ``Ledger``."""
        self._progress(
            target=target,
            created_on_ms=created_on_ms,
            in_doubt=in_doubt,
            rows_inserted_base=rows_inserted,
            rows_error_base=rows_error,
        )

    def add_dead_letter(self, letter: DeadLetter) -> int:
        """See ``Ledger``."""
        letters = _with(self.state.letters, letter)
        self._write(replace(self.state, letters=letters))
        return len(letters)

    def add_event(self, kind: str, detail: str, realtime_ns: int) -> None:
        """See ``Ledger``; the coalescing is the real one's business."""
        self.told.append(kind)
        if any(known == kind for _, known in self.state.events):
            return
        self._names += 1
        event = (f"{self._prefix}event-{self._names}", kind)
        self._write(replace(self.state, events=(*self.state.events, event)))

    def close_events(self, realtime_ns: int) -> None:
        """See ``Ledger``."""

    def drop_copied_events(self, ids: Iterable[str]) -> None:
        """See ``Ledger``."""
        gone = set(ids)
        left = tuple(event for event in self.state.events if event[0] not in gone)
        if left != self.state.events:
            self._write(replace(self.state, events=left))

    def request(self, kind: str, reason: str) -> str:
        """See ``Ledger``."""
        for name, known in self.state.requests:
            if known == kind:
                return name
        self._names += 1
        name = f"{self._prefix}request-{self._names}"
        self._write(replace(self.state, requests=(*self.state.requests, (name, kind))))
        return name

    def requests(self) -> tuple[str, ...]:
        """See ``Ledger``."""
        return tuple(name for name, _ in self.state.requests)

    def drop_requests(self, ids: Iterable[str]) -> None:
        """See ``Ledger``."""
        gone = set(ids)
        left = tuple(request for request in self.state.requests if request[0] not in gone)
        if left != self.state.requests:
            self._write(replace(self.state, requests=left))

    def _progress(self, **changes: object) -> None:
        progress = replace(self.state.progress, **changes)  # type: ignore[arg-type]
        self._write(replace(self.state, progress=progress))

    def _write(self, state: _ShipState) -> None:
        self._mortality.touch("write")
        self.history.append(self.state)
        self.state = state
        # Also a write that is told to have failed may have been done.
        self._mortality.touch("written")


def _with(letters: tuple[DeadLetter, ...], letter: DeadLetter) -> tuple[DeadLetter, ...]:
    key = (letter.form, letter.epoch, letter.first_seq, letter.last_seq)
    if any((x.form, x.epoch, x.first_seq, x.last_seq) == key for x in letters):
        return letters
    return (*letters, replace(letter, id=len(letters) + 1))
