"""All channels of a server, the commit of what they accepted, and what others may do to them."""

import math
from random import Random

from tests.emulators.ingest.answers import MUST_BE_REOPENED, NO_PIPE, ChannelName, Pipe
from tests.emulators.ingest.channel import Channel
from tests.emulators.ingest.knobs import Knobs, Tally
from tests.emulators.ingest.store import CommittedRow, ErrorRow, MemoryStore, Store


class ChannelRegistry:
    """The state of an ingest server, and the commits and mishaps that no client asks for.

    Attributes:
        knobs: how it behaves.
        tally: what happened.
        store: where committed rows go.
        channels: by name; read only for callers.
    """

    def __init__(
        self, store: Store | None = None, knobs: Knobs | None = None, seed: int = 0
    ) -> None:
        """Take up what the store has.

        Args:
            store: ``None``: a new ``MemoryStore``.
            knobs: ``None``: the defaults.
            seed: for the jitter of commits.
        """
        self.store: Store = MemoryStore() if store is None else store
        self.knobs = knobs or Knobs()
        self.tally = Tally()
        self.channels: dict[ChannelName, Channel] = {c.name: c for c in self.store.load()}
        self.broken_pipes: dict[Pipe, str] = {}
        self._random = Random(seed)
        self._busy = {name: c for name, c in self.channels.items() if c.pending}
        self._unstuck_at_s = -math.inf
        self._last_created_ms = max((c.created_on_ms for c in self.channels.values()), default=0)

    def advance(self, now_s: float) -> None:
        """Commit what is due and let counters catch up."""
        if not self._busy:
            return
        if self.knobs.commits_stuck:
            self._unstuck_at_s = now_s
        for name, channel in tuple(self._busy.items()):
            while (
                channel.pending
                and channel.pending[0].commits_at_s <= now_s
                and not self.knobs.commits_stuck
            ):
                self._commit_next(channel, channel.pending[0].commits_at_s)
            channel.show_counters(now_s - self.knobs.counters_lag_s)
            if not channel.pending and not channel.late:
                del self._busy[name]

    def commit_now(self, now_s: float) -> None:
        """Commit everything accepted, due or not, stuck or not."""
        for channel in self._busy.values():
            while channel.pending:
                self._commit_next(channel, now_s)
        self.advance(now_s)

    def invalidate(self, name: ChannelName, code: str = MUST_BE_REOPENED) -> None:
        """Make a channel unusable until it is opened again; what it had not committed is gone.

        Args:
            name: the channel; must exist.
            code: what bulk status says from now on; appends are STALE.
        """
        channel = self.channels[name]
        channel.code = code
        self._discard(channel)
        self.store.changed(channel)

    def lose(self, name: ChannelName) -> None:
        """Delete a channel without a trace, as its expiry or CREATE OR REPLACE PIPE does."""
        self._discard(self.channels.pop(name))
        self._busy.pop(name, None)
        self.store.forgotten(name)

    def replace_table(self, pipe: Pipe) -> int:
        """Delete all channels of a pipe, as CREATE OR REPLACE TABLE does; returns how many.

        Committed rows stay in the store: it is the record of what was ever committed.
        """
        names = [name for name in self.channels if name.pipe == pipe]
        for name in names:
            self.lose(name)
        return len(names)

    def break_pipe(self, pipe: Pipe, code: str = NO_PIPE) -> None:
        """From now on open answers 200 with this code, and appends get 200 and are thrown away."""
        self.broken_pipes[pipe] = code

    def mend_pipe(self, pipe: Pipe) -> None:
        """Undo ``break_pipe``; channels stay as they are."""
        self.broken_pipes.pop(pipe, None)

    def _find(self, name: ChannelName, now_s: float) -> Channel | None:
        channel = self.channels.get(name)
        if channel is not None and now_s - channel.active_at_s > self.knobs.idle_expiry_s:
            self.lose(name)
            return None
        return channel

    def _create(self, name: ChannelName, now_s: float) -> Channel:
        self._last_created_ms = max(int(now_s * 1000), self._last_created_ms + 1)
        channel = Channel(name, self._last_created_ms, active_at_s=now_s)
        self.channels[name] = channel
        return channel

    def _discard(self, channel: Channel) -> None:
        self.tally.rows_discarded += channel.discard_pending()

    def _commit_next(self, channel: Channel, at_s: float) -> None:
        at_s = max(at_s, self._unstuck_at_s)
        pending = channel.commit_next(at_s)
        token, name = pending.end_token, channel.name
        rows = [
            CommittedRow(name, token, row.decode("utf-8", "replace"), at_s) for row in pending.rows
        ]
        errors = [ErrorRow(name, token, bad, at_s) for bad in pending.bad]
        self.store.committed(channel, rows, errors)
        self.tally.commits += 1
        self.tally.rows_committed += len(rows)
        self.tally.row_errors += len(errors)
