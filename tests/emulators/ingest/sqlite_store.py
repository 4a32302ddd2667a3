"""The store on disk: ``rows.db``, which a person can query while the emulator runs.

``SELECT channel, offset_token, row, committed_at FROM rows`` is what the server committed, in the
order of the commits. ``error_rows`` is the error table; ``channels`` and ``appends`` are the
model's own memory, so that a restarted (or killed) emulator goes on where it was: what it had
answered with 200 still commits, and a replay is still known.

Not fsynced: it outlives its process, not a power cut. The real server's disk is not under test.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.channel import Channel, Consumed, PendingAppend, Totals
from tests.emulators.ingest.rows import BadRow
from tests.emulators.ingest.store import CommittedRow, ErrorRow

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows(
  id INTEGER PRIMARY KEY, pipe TEXT NOT NULL, channel TEXT NOT NULL, offset_token TEXT,
  row TEXT NOT NULL, committed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS error_rows(
  id INTEGER PRIMARY KEY, pipe TEXT NOT NULL, channel TEXT NOT NULL, offset_token TEXT,
  row TEXT NOT NULL, message TEXT NOT NULL, committed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS channels(
  database TEXT, schema TEXT, pipe TEXT, channel TEXT, created_on_ms INTEGER NOT NULL,
  active_at_s REAL NOT NULL, client_sequencer INTEGER NOT NULL, row_sequencer INTEGER NOT NULL,
  committed_token TEXT, code TEXT NOT NULL, totals TEXT NOT NULL,
  PRIMARY KEY (database, schema, pipe, channel));
CREATE TABLE IF NOT EXISTS appends(
  database TEXT, schema TEXT, pipe TEXT, channel TEXT, row_sequencer INTEGER,
  fingerprint BLOB NOT NULL, request_id TEXT NOT NULL, rows BLOB, bad TEXT, end_token TEXT,
  accepted_at_s REAL, commits_at_s REAL,
  PRIMARY KEY (database, schema, pipe, channel, row_sequencer)) WITHOUT ROWID;
"""
_OF_CHANNEL: Final = "database = ? AND schema = ? AND pipe = ? AND channel = ?"


class SqliteStore:
    """Keeps everything in one SQLite file; one thread at a time may call it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    def load(self) -> Iterable[Channel]:
        """Every channel, with the appends of its session."""
        return [self._channel(row) for row in self._db.execute("SELECT * FROM channels").fetchall()]

    def committed_rows(self) -> list[CommittedRow]:
        """The table; channels of all pipes."""
        found = self._db.execute(
            "SELECT pipe, channel, offset_token, row, committed_at FROM rows ORDER BY id"
        )
        return [
            CommittedRow(ChannelName(Pipe(*pipe.split(".", 2)), channel), token, row, _seconds(at))
            for pipe, channel, token, row, at in found
        ]

    def opened(self, channel: Channel) -> None:
        """Keep the new session; forget what the former one consumed."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"DELETE FROM appends WHERE {_OF_CHANNEL}", _key(channel.name))
            self._put(channel)

    def appended(self, channel: Channel, pending: PendingAppend) -> None:
        """Keep an accepted append before it is answered."""
        consumed = channel.consumed[pending.row_sequencer]
        values = (
            *_key(channel.name),
            pending.row_sequencer,
            consumed.fingerprint,
            consumed.request_id,
            b"\n".join(pending.rows),
            json.dumps(pending.bad),
            pending.end_token,
            pending.accepted_at_s,
            pending.commits_at_s,
        )
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"INSERT INTO appends VALUES ({_marks(len(values))})", values)
            self._put(channel)

    def committed(
        self, channel: Channel | None, rows: Sequence[CommittedRow], errors: Sequence[ErrorRow]
    ) -> None:
        """Store rows, errors, token and counters in one transaction."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO rows(pipe, channel, offset_token, row, committed_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    (str(row.name.pipe), row.name.channel, row.offset_token, row.row, _utc(row[3]))
                    for row in rows
                ),
            )
            self._db.executemany(
                "INSERT INTO error_rows(pipe, channel, offset_token, row, message, committed_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (str(e.name.pipe), e.name.channel, e.offset_token, *e.bad, _utc(e[3]))
                    for e in errors
                ),
            )
            if channel is not None:
                self._settle(channel)

    def changed(self, channel: Channel) -> None:
        """Keep the channel; its uncommitted appends are only those that it still has."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if not channel.pending:
                self._db.execute(
                    f"UPDATE appends SET rows = NULL, bad = NULL WHERE {_OF_CHANNEL}",
                    _key(channel.name),
                )
            self._put(channel)

    def forgotten(self, name: ChannelName) -> None:
        """Delete the channel; its committed rows stay."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"DELETE FROM appends WHERE {_OF_CHANNEL}", _key(name))
            self._db.execute(f"DELETE FROM channels WHERE {_OF_CHANNEL}", _key(name))

    def _settle(self, channel: Channel) -> None:
        """Mark what is committed: its rows are no longer needed, its fingerprint is."""
        oldest = channel.pending[0].row_sequencer if channel.pending else channel.row_sequencer
        self._db.execute(
            f"UPDATE appends SET rows = NULL, bad = NULL WHERE {_OF_CHANNEL}"
            " AND row_sequencer < ? AND rows IS NOT NULL",
            (*_key(channel.name), oldest),
        )
        self._put(channel)

    def _put(self, channel: Channel) -> None:
        totals = replace(channel.totals)
        for pending, at_s in channel.late:
            totals.add(pending, at_s)
        values = (
            *_key(channel.name),
            channel.created_on_ms,
            channel.active_at_s,
            channel.client_sequencer,
            channel.row_sequencer,
            channel.committed_token,
            channel.code,
            json.dumps(astuple(totals)),
        )
        self._db.execute(f"INSERT OR REPLACE INTO channels VALUES ({_marks(len(values))})", values)

    def _channel(self, row: tuple[Any, ...]) -> Channel:
        name = ChannelName(Pipe(row[0], row[1], row[2]), row[3])
        channel = Channel(name, row[4], row[5], row[6], row[7], row[8], row[9])
        channel.totals = Totals(*json.loads(row[10]))
        appends = self._db.execute(
            "SELECT row_sequencer, fingerprint, request_id, rows, bad, end_token, accepted_at_s,"
            f" commits_at_s FROM appends WHERE {_OF_CHANNEL} ORDER BY row_sequencer",
            _key(name),
        )
        for sequencer, fingerprint, request_id, rows, bad, *rest in appends:
            channel.consumed[sequencer] = Consumed(fingerprint, request_id)
            if rows is not None:
                texts = tuple(rows.split(b"\n")) if rows else ()
                dropped = tuple(BadRow(*each) for each in json.loads(bad))
                channel.pending.append(PendingAppend(sequencer, texts, dropped, *rest))
        return channel


def _key(name: ChannelName) -> tuple[str, str, str, str]:
    return (*name.pipe, name.channel)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _seconds(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()
