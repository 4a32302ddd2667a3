"""The server as rules: channels, tokens, buffered and committed rows. No HTTP, thread or clock.

Use it in-process::

    store = MemoryStore()
    model = IngestModel(store, Knobs(commit_delay_s=6.0), seed=7)
    name = ChannelName(Pipe("DB", "SCHEMA", "T-STREAMING"), "TH_01")
    opened = model.open(name, now_s)            # .next_continuation_token, .status: ChannelStatus
    answer = model.append(Append(name, "0_1", b'{"seq":1}', "1", "1"), now_s)
    model.status(name.pipe, ["TH_01"], now_s)   # {"TH_01": ChannelStatus}; unknown ones absent
    model.drop(name, now_s)
    store.rows                                  # [CommittedRow] in the order of their commits

Names: ``answers`` (requests, replies, ``Refused``, codes), ``knobs`` (behaviour, counters),
``store`` (``MemoryStore``), ``registry`` (what an operator or mishap does to channels).

- Each call takes ``now_s``: seconds on a clock of the caller's choice that does not go back
  (since 1970 if ``created_on_ms`` is to look real). What is due commits at the beginning of each
  call, or by ``advance(now_s)``. Same calls and seed, same answers.
- What the server would refuse raises ``Refused(status, code, message)``.
- ``knobs`` may be changed at any time; ``Knobs(parses_rows=False)`` is fastest.
- ``tally`` counts what happened; ``tally.client_bugs`` stays 0 for a correct client.
- What happens without the client: ``invalidate``, ``lose``, ``replace_table``, ``steal``,
  ``break_pipe``, ``mend_pipe``, ``commit_now``.

The rules and where they come from are in ``BEHAVIOUR.md``; in short: a 200 on append means
buffered; a consumed token of the current session gets 200 and the current token and its rows are
ignored; an older session is STALE; open raises the client sequencer and discards what is not
committed, unless it was asked to fail instead.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Final

from tests.emulators.ingest.answers import (
    BAD_CLIENT_SEQUENCER,
    BAD_CONTENT,
    BAD_ROW_SEQUENCER,
    INVALID_PIPE,
    NO_CHANNEL,
    NO_CHANNEL_APPEND,
    STALE,
    STALE_MESSAGE,
    SUCCESS,
    UNCOMMITTED,
    Append,
    Appended,
    ChannelName,
    ChannelStatus,
    Opened,
    Pipe,
    Refused,
)
from tests.emulators.ingest.channel import Channel, Consumed, PendingAppend
from tests.emulators.ingest.registry import ChannelRegistry
from tests.emulators.ingest.rows import lines, parse, sift

CONSUMED_KEPT: Final = 4096
"""Consumed tokens whose bytes are remembered; a replay of an older one counts as different."""


class IngestModel(ChannelRegistry):
    """What a client may ask of an ingest server; see the module for how to use it."""

    def open(
        self,
        name: ChannelName,
        now_s: float,
        *,
        offset_token: str | None = None,
        fail_on_uncommitted_rows: bool = False,
    ) -> Opened:
        """Create a channel, or take it over: raise its client sequencer, discard what is pending.

        Args:
            name: the channel.
            now_s: the time.
            offset_token: overwrites the stored token, also backwards; ``None``: leave it.
            fail_on_uncommitted_rows: refuse instead of discarding.

        Raises:
            Refused: 409 while something is uncommitted and the caller asked to fail then.
        """
        self.advance(now_s)
        channel = self._find(name, now_s)
        if channel is None:
            channel = self._create(name, now_s)
        else:
            self._refuse_uncommitted(channel, fail_on_uncommitted_rows)
            if self.knobs.discards_on_reopen:
                self._discard(channel)
            channel.new_session()
        if offset_token is not None:
            channel.committed_token = offset_token
        self.tally.opens += 1
        self.store.opened(channel)
        return Opened(channel.token, channel.status(self.broken_pipes.get(name.pipe)))

    def append(self, request: Append, now_s: float) -> Appended:
        """Buffer rows, or ignore them, or refuse them, as the continuation token says.

        Raises:
            Refused: 400 for a stale, missing or unreadable token, an unknown channel, or a row
                that ``Knobs.refuse_rules`` names; 409 for a token that was never given.
        """
        self.advance(now_s)
        channel = self._find(request.name, now_s)
        if channel is None:
            self.tally.unknown_channel += 1
            raise Refused(400, NO_CHANNEL_APPEND)
        client_sequencer, row_sequencer = self._sequencers(request.continuation_token)
        if client_sequencer < channel.client_sequencer or channel.code != SUCCESS:
            return self._older_session(channel)
        if client_sequencer > channel.client_sequencer:
            self.tally.tokens_ahead += 1
            raise Refused(409, BAD_CLIENT_SEQUENCER, "Client sequencer was never given out")
        if row_sequencer > channel.row_sequencer:
            self.tally.tokens_ahead += 1
            raise Refused(409, BAD_ROW_SEQUENCER, "Row sequencer was never given out")
        if row_sequencer < channel.row_sequencer:
            self._count_replay(channel, row_sequencer, request)
            if self.knobs.absorbs_replays:
                return Appended(channel.token, buffered=False)
        self._buffer(channel, request, now_s)
        token = channel.token
        self.advance(now_s)
        return Appended(token, buffered=True)

    def status(self, pipe: Pipe, channels: Iterable[str], now_s: float) -> dict[str, ChannelStatus]:
        """Report channels of one pipe by name; those that do not exist are left out.

        Raises:
            Refused: 409 when the pipe is broken.
        """
        self.advance(now_s)
        if pipe in self.broken_pipes:
            raise Refused(409, INVALID_PIPE, f"Pipe {pipe} is in an invalid state")
        found = ((name, self._find(ChannelName(pipe, name), now_s)) for name in channels)
        return {name: channel.status() for name, channel in found if channel is not None}

    def drop(
        self, name: ChannelName, now_s: float, *, fail_on_uncommitted_rows: bool = False
    ) -> None:
        """Delete a channel and what it has not committed; its committed rows stay.

        Raises:
            Refused: 404 when there is none; 409 as for ``open``.
        """
        self.advance(now_s)
        channel = self._find(name, now_s)
        if channel is None:
            raise Refused(404, NO_CHANNEL)
        self._refuse_uncommitted(channel, fail_on_uncommitted_rows)
        self.lose(name)

    def steal(self, name: ChannelName, now_s: float) -> Opened:
        """Open the channel as another client would, fencing the one that has it."""
        self.tally.steals += 1
        return self.open(name, now_s)

    def _refuse_uncommitted(self, channel: Channel, fail_on_uncommitted_rows: bool) -> None:
        if fail_on_uncommitted_rows and channel.pending:
            self.tally.uncommitted_refusals += 1
            raise Refused(409, UNCOMMITTED, "The channel has rows that are not committed yet")

    def _sequencers(self, token: str | None) -> tuple[int, int]:
        client, separator, row = (token or "").partition("_")
        if not (separator and client.isdecimal() and row.isdecimal()):
            self.tally.tokens_missing += 1
            raise Refused(400, STALE, "Continuation token is missing or unreadable")
        return int(client), int(row)

    def _older_session(self, channel: Channel) -> Appended:
        self.tally.stale_appends += 1
        if self.knobs.older_session_is_noop and channel.code == SUCCESS:
            return Appended(channel.token, buffered=False)
        raise Refused(400, STALE, STALE_MESSAGE)

    def _count_replay(self, channel: Channel, row_sequencer: int, request: Append) -> None:
        first = channel.consumed.get(row_sequencer)
        if first is None or first.fingerprint != _fingerprint(request):
            self.tally.noops_different += 1
            return
        self.tally.noops_identical += 1
        if first.request_id != request.request_id:
            self.tally.noops_new_request_id += 1

    def _buffer(self, channel: Channel, request: Append, now_s: float) -> None:
        texts = lines(request.body)
        self._refuse_rows(texts)
        row_sequencer = channel.row_sequencer
        channel.consume(Consumed(_fingerprint(request), request.request_id), CONSUMED_KEPT)
        self.tally.appends += 1
        if request.name.pipe in self.broken_pipes:
            self.tally.rows_thrown_away += len(texts)
            self.store.changed(channel)
            return
        rows, bad = sift(texts, self.knobs.row_rules) if self.knobs.parses_rows else (texts, ())
        due_s = self._commit_time(channel, now_s)
        pending = PendingAppend(row_sequencer, rows, bad, request.end_token or None, now_s, due_s)
        channel.buffer(pending)
        self._busy[channel.name] = channel
        self.store.appended(channel, pending)

    def _refuse_rows(self, texts: Sequence[bytes]) -> None:
        for rule in self.knobs.refuse_rules:
            for text in texts:
                message = rule(parse(text) or {})
                if message is not None:
                    self.tally.rows_refused += 1
                    raise Refused(400, BAD_CONTENT, message)

    def _commit_time(self, channel: Channel, now_s: float) -> float:
        due_s = now_s + self.knobs.commit_delay_s
        if self.knobs.commit_jitter_s:
            due_s += self._random.uniform(0, self.knobs.commit_jitter_s)
        if self.knobs.commit_grain_s:
            due_s = math.ceil(due_s / self.knobs.commit_grain_s) * self.knobs.commit_grain_s
        return max(due_s, channel.pending[-1].commits_at_s) if channel.pending else due_s


def _fingerprint(request: Append) -> bytes:
    """Stands for the bytes and offset tokens of an append."""
    digest = hashlib.blake2b(request.wire or request.body, digest_size=16)
    digest.update(f"|{request.start_token}|{request.end_token}".encode())
    return digest.digest()
