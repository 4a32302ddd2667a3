"""Where the model keeps what must outlive it: the port, and the store that keeps it in memory.

A store is told after each change and answers once, at the start. What it is told in one call
becomes durable together: the rows of a commit and the token that names them are never apart.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from tests.emulators.ingest.answers import ChannelName
from tests.emulators.ingest.channel import Channel, PendingAppend
from tests.emulators.ingest.rows import BadRow


class CommittedRow(NamedTuple):
    """A row in the table.

    Attributes:
        name: the channel that brought it.
        offset_token: end token of the append that brought it; ``None``: it had none.
        row: its JSON text as sent.
        committed_at_s: seconds on the model's clock.
    """

    name: ChannelName
    offset_token: str | None
    row: str
    committed_at_s: float


class ErrorRow(NamedTuple):
    """A row in the error table; the fields as in ``CommittedRow``, and why it was dropped."""

    name: ChannelName
    offset_token: str | None
    bad: BadRow
    committed_at_s: float


class Store(Protocol):
    """What the model may know of its storage."""

    def load(self) -> Iterable[Channel]:
        """Every channel as it was last told, with its accepted and uncommitted appends."""

    def opened(self, channel: Channel) -> None:
        """The channel began a session; what it had consumed before is to be forgotten."""

    def appended(self, channel: Channel, pending: PendingAppend) -> None:
        """The channel accepted an append."""

    def committed(
        self, channel: Channel | None, rows: Sequence[CommittedRow], errors: Sequence[ErrorRow]
    ) -> None:
        """The oldest pending append of the channel was committed, with these rows.

        Args:
            channel: ``None``: the rows came without a channel of their own.
            rows: may be empty.
            errors: rows that were dropped.
        """

    def changed(self, channel: Channel) -> None:
        """Something else about the channel changed."""

    def forgotten(self, name: ChannelName) -> None:
        """The channel is gone; its committed rows stay."""


class MemoryStore:
    """Keeps rows in two lists and no channels: for simulations, where the model never restarts.

    Attributes:
        rows: committed rows in the order of their commits.
        errors: the error table.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.rows: list[CommittedRow] = []
        self.errors: list[ErrorRow] = []

    def load(self) -> Iterable[Channel]:
        """Nothing: it never outlives the model."""
        return ()

    def committed_rows(self) -> list[CommittedRow]:
        """A copy of ``rows``."""
        return list(self.rows)

    def opened(self, channel: Channel) -> None:
        """Nothing to keep."""

    def appended(self, channel: Channel, pending: PendingAppend) -> None:
        """Nothing to keep."""

    def committed(
        self, channel: Channel | None, rows: Sequence[CommittedRow], errors: Sequence[ErrorRow]
    ) -> None:
        """Keep the rows."""
        self.rows.extend(rows)
        self.errors.extend(errors)

    def changed(self, channel: Channel) -> None:
        """Nothing to keep."""

    def forgotten(self, name: ChannelName) -> None:
        """Nothing to keep."""
