"""The elastic mode: rows without a channel of one's own, durable at 200, at least once.

Kept apart because it shares nothing with the channels' rules but the table. It is here for the
official SDK; the product never uses it (it is not exactly-once).
"""

from typing import Final

from tests.emulators.ingest.answers import SUCCESS, ChannelName, ChannelStatus, Pipe
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.rows import lines, sift
from tests.emulators.ingest.store import CommittedRow, ErrorRow

CHANNEL: Final = "ELASTIC"
"""Name of the channel that every pipe has for this mode."""


class Elastic:
    """The elastic channel of one pipe; every pipe has one."""

    def __init__(self, model: IngestModel, pipe: Pipe) -> None:
        """Take the model whose table the rows go to."""
        self._model = model
        self._name = ChannelName(pipe, CHANNEL)

    def insert(self, body: bytes, now_s: float) -> None:
        """Commit the good rows of a body and put the others into the error table."""
        rows, bad = sift(lines(body), self._model.knobs.row_rules)
        good = [CommittedRow(self._name, None, row.decode(), now_s) for row in rows]
        errors = [ErrorRow(self._name, None, each, now_s) for each in bad]
        self._model.store.committed(None, good, errors)

    def status(self) -> ChannelStatus:
        """Healthy, without a token; counters are not kept."""
        return ChannelStatus(self._name, SUCCESS, None, 0, 0, 0, 0, None, None, None, None)
