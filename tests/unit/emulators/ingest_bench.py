"""A model in memory with one open channel: what the tests of the server's rules start from."""

import pytest

from tests.emulators.ingest.answers import Append, Appended, ChannelName, Pipe, Refused
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore

PIPE = Pipe("DB", "SCHEMA", "T-STREAMING")
NAME = ChannelName(PIPE, "TH_01")


class Bench:
    """A model with its store and a channel whose first session is open."""

    def __init__(self, **knobs: object) -> None:
        """Take knobs; the commit delay is 6 s unless told."""
        self.store = MemoryStore()
        self.model = IngestModel(self.store, Knobs(**knobs))  # type: ignore[arg-type]
        self.token = self.model.open(NAME, 0.0).next_continuation_token

    def append(self, token: str | None, *seqs: int, now_s: float = 0.0) -> Appended:
        """Append one row per seq; the offset token is the last of them."""
        body = b"".join(b'{"seq":%d}\n' % seq for seq in seqs)
        request = Append(NAME, token, body, str(seqs[0]), str(seqs[-1]), request_id="r")
        return self.model.append(request, now_s)

    def committed(self, now_s: float) -> str | None:
        """The committed token as bulk status tells it."""
        return self.model.status(PIPE, ["TH_01"], now_s)["TH_01"].committed_token

    def rows(self) -> list[str]:
        """Texts of the committed rows."""
        return [row.row for row in self.store.rows]


def refusal(bench: Bench, token: str | None, *seqs: int, now_s: float = 0.0) -> tuple[int, str]:
    """Status and code with which an append is refused."""
    with pytest.raises(Refused) as caught:
        bench.append(token, *seqs, now_s=now_s)
    return caught.value.status, caught.value.code
