"""The jobs in ``ship.db``: which rows, over which channel, how far, and what was refused again."""

import gzip
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from common.ship_state import Acknowledgement, Mark
from shipper.dead_letters import DeadLetter, DeadLetters, Transaction
from shipper.progress import Progress

Kind: TypeAlias = Literal["requeue", "adopt", "check"]

_COLUMNS: Final = "n, job, kind, source, first, last, finished_at"


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        n: number of its channel, ``TH_<install_id>_BACKFILL_<n>``.
        name: 16 random lower-case hex digits; the epoch of its offset tokens.
        kind: where its rows are: dead letters, a file that was set aside, or memory.
        source: name of the directory under ``aside``; "" for dead letters.
        first: the first place that may hold a row.
        last: the last one.
        finished: whether all of it is done.
    """

    n: int
    name: str
    kind: Kind
    source: str
    first: int
    last: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of a job that stay, or become, a dead letter.

    Attributes:
        place: of a single row that was refused at the door, which is not sent any more; 0: none.
        letter: under the rows' own key.
    """

    place: int
    letter: DeadLetter


class Jobs:
    """The tables of jobs; each call is one durable transaction.

    Args:
        transaction: ``Ledger.transaction``.
        letters: the dead letters of the same file.
        random_bytes: makes names.
    """

    def __init__(
        self, transaction: Transaction, letters: DeadLetters, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._transaction = transaction
        self._letters = letters
        self._random_bytes = random_bytes

    def create(self, source: str, first: int, last: int, now_us: int) -> Job:
        """A job whose rows are in a file that was set aside; places are its seqs."""
        with self._transaction("create_job") as connection:
            return self._create(connection, Job(0, "", "adopt", source, first, last), now_us)

    def create_for_letters(
        self, letters: Iterable[tuple[int, int]], unsent: Iterable[Kept], now_us: int
    ) -> Job:
        """A job for dead letters, which are its own from now on.

        Args:
            letters: number and count of lines of each, in the order of sending.
            unsent: lines of them that cannot be sent; they are kept for themselves.
            now_us: UTC, µs.
        """
        with self._transaction("create_job") as connection:
            job = self._create(connection, Job(0, "", "requeue", "", 1, 0), now_us)
            last = 0
            for number, rows in letters:
                connection.execute(
                    "INSERT INTO backfill_letters (letter, job, first, rows) VALUES (?, ?, ?, ?)",
                    (number, job.name, last + 1, rows),
                )
                last += rows
            connection.execute("UPDATE backfills SET last = ? WHERE n = ?", (last, job.n))
            for kept in unsent:
                _keep(connection, job.name, kept)
        return replace(job, last=last)

    def renumber(self, job: Job) -> Job:
        """Give a job that has sent nothing yet the next number: its channel is somebody else's."""
        with self._transaction("renumber_job") as connection:
            n = _next_number(connection)
            connection.execute(
                "UPDATE backfills SET n = ?, target = NULL, created_on_ms = NULL WHERE n = ?",
                (n, job.n),
            )
        return replace(job, n=n)

    def unfinished(self, kind: Kind) -> tuple[Job, ...]:
        """Jobs that go on, oldest first."""
        return tuple(job for job in self.of(kind) if not job.finished)

    def of(self, kind: Kind) -> tuple[Job, ...]:
        """All jobs of a kind, oldest first."""
        with self._transaction("jobs") as connection:
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM backfills WHERE kind = ? ORDER BY n",  # noqa: S608 - our own names
                (kind,),
            ).fetchall()
        return tuple(_job(row) for row in found)

    def taken(self) -> frozenset[int]:
        """Numbers of the dead letters that belong to a job that goes on."""
        with self._transaction("job_letters") as connection:
            found = connection.execute("SELECT letter FROM backfill_letters").fetchall()
        return frozenset(number for (number,) in found)

    def letter_at(self, job: Job, place: int) -> tuple[int, int, int] | None:
        """The dead letter with that place, or the next one: number, first place, lines."""
        with self._transaction("job_letter") as connection:
            found = connection.execute(
                "SELECT letter, first, rows FROM backfill_letters WHERE job = ? "
                "AND first + rows > ? ORDER BY first LIMIT 1",
                (job.name, place),
            ).fetchone()
        return None if found is None else (found[0], found[1], found[2])

    def progress(self, job: Job) -> Progress:
        """How far it has come."""
        with self._transaction("job_progress") as connection:
            row = connection.execute(
                "SELECT target, created_on_ms, acknowledged_token, acknowledged_seq, exposed_seq, "
                "rows_inserted_base, rows_error_base, in_doubt_seq FROM backfills WHERE n = ?",
                (job.n,),
            ).fetchone()
        target, created, token, acknowledged, exposed, inserted, errors, doubt = row
        return Progress(
            target,
            created,
            None if acknowledged is None else Acknowledgement(token, job.name, acknowledged),
            None if exposed is None else Mark(job.name, exposed),
            inserted,
            errors,
            None if doubt is None else Mark(job.name, doubt),
        )

    def advance(
        self, job: Job, columns: Mapping[str, str | int | None], kept: Iterable[Kept] = ()
    ) -> None:
        """Store progress, and with it what is kept."""
        names = ", ".join(f"{name} = ?" for name in columns)
        with self._transaction("job_advance") as connection:
            for one in kept:
                _keep(connection, job.name, one)
            if names:
                connection.execute(
                    f"UPDATE backfills SET {names} WHERE n = ?",  # noqa: S608 - names are our own
                    (*columns.values(), job.n),
                )

    def refused(self, job: Job) -> dict[int, None]:
        """Places that were refused at the door, in order: they are not sent any more."""
        with self._transaction("job_refused") as connection:
            found = connection.execute(
                "SELECT place FROM backfill_kept WHERE job = ? AND place > 0 ORDER BY place",
                (job.name,),
            ).fetchall()
        return {place: None for (place,) in found}

    def finish(self, job: Job, now_us: int) -> tuple[int, int]:
        """The end of a job: its letters go, and what was refused again stays, all in one.

        Returns:
            Rows that stay, and as how many dead letters.
        """
        with self._transaction("finish_job") as connection:
            mine = {
                number for (number,) in connection.execute(
                    "SELECT letter FROM backfill_letters WHERE job = ?", (job.name,)
                ).fetchall()
            }
            rows = letters = 0
            for (number,) in connection.execute(
                "SELECT id FROM backfill_kept WHERE job = ? ORDER BY id", (job.name,)
            ).fetchall():
                letter = _read_kept(connection, number)
                # Of a letter of this job, the rows that are not kept have arrived.
                known = self._letters.same(connection, letter)
                mine.discard(self._letters.replace(connection, letter, whole=known in mine))
                rows += letter.payload.count(b"\n")
                letters += 1
            gone = [(number,) for number in mine]
            connection.executemany("DELETE FROM dead_letters WHERE id = ?", gone)
            connection.execute("DELETE FROM backfill_letters WHERE job = ?", (job.name,))
            connection.execute("DELETE FROM backfill_kept WHERE job = ?", (job.name,))
            connection.execute(
                "UPDATE backfills SET finished_at = ? WHERE n = ?", (now_us, job.n)
            )
        return rows, letters

    def _create(self, connection: sqlite3.Connection, job: Job, now_us: int) -> Job:
        made = replace(job, n=_next_number(connection), name=self._random_bytes(8).hex())
        connection.execute(
            "INSERT INTO backfills (n, job, kind, source, first, last, created_at, "
            "rows_inserted_base, rows_error_base) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
            (made.n, made.name, made.kind, made.source, made.first, made.last, now_us),
        )
        return made


def _next_number(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(n), 0) + 1 FROM backfills").fetchone()[0])


def _keep(connection: sqlite3.Connection, job: str, kept: Kept) -> None:
    letter = kept.letter
    connection.execute(
        "INSERT INTO backfill_kept (job, place, form, epoch, first_seq, last_seq, reason, message, "
        "payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job, kept.place, letter.form, letter.epoch, letter.first_seq, letter.last_seq,
            letter.reason, letter.message, gzip.compress(letter.payload, mtime=0),
            letter.created_at,
        ),
    )


def _read_kept(connection: sqlite3.Connection, number: int) -> DeadLetter:
    row: tuple[Any, ...] = connection.execute(
        "SELECT form, epoch, first_seq, last_seq, reason, message, payload, created_at "
        "FROM backfill_kept WHERE id = ?",
        (number,),
    ).fetchone()
    form, epoch, first_seq, last_seq, reason, message, payload, created_at = row
    lines = gzip.decompress(payload)
    return DeadLetter(form, epoch, first_seq, last_seq, reason, message, lines, created_at)


def _job(row: tuple[Any, ...]) -> Job:
    n, name, kind, source, first, last, finished_at = row
    return Job(n, name, kind, source, first, last, finished_at is not None)
