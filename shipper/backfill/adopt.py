"""Sending what was set aside, at an operator's word: as one job, under the rows' own keys."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from common.database import open_reader, translate
from common.errors import UsageError
from common.spool.schema import ASIDE_DIRECTORY, SPOOL_FILE
from shipper.backfill.aside import (
    Aside,
    acknowledged_seq,
    last_key,
    list_aside,
    look_aside,
    note_adopted,
)
from shipper.backfill.aside_source import AsideSource
from shipper.backfill.courier import Courier, Ending, Headway, Route
from shipper.backfill.jobs import Job
from shipper.ledger import Ledger
from shipper.operate import Desk, NotYet


class Adopted(UsageError):
    """The rows of that directory went already; sending them again would double them, flagged."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an adoption.

    Attributes:
        ending: how the drive ended.
        stays: rows that were refused and are dead letters now.
        letters: as how many.
        unreadable: at most so many rows stay in the file, because they cannot be read.
    """

    ending: Ending
    stays: int = 0
    letters: int = 0
    unreadable: int = 0


def inspect(at: Desk, name: str, *, again: bool) -> tuple[Aside, Job | None]:
    """What is to be adopted, and its job when that was begun before.

    Args:
        at: the shipper's place.
        name: the directory's name, or its path.
        again: adopt although it went already.

    Raises:
        UsageError: there is no such directory, or no spool in it.
        Adopted: it went already.
    """
    directory = at.settings.spool.directory
    name = Path(name).name
    if not name or not (directory / ASIDE_DIRECTORY / name).is_dir():
        known = [one.name for one in list_aside(directory, None)]
        raise UsageError(
            f"{name}: no such directory under {directory / ASIDE_DIRECTORY}; "
            f"there {'are' if known else 'is nothing'} {', '.join(known)}".rstrip(),
            hint="thermal-shipper adopt --list",
        )
    found = look_aside(directory, name, at.install.install_id)
    if not found.has_spool:
        raise UsageError(
            f"{name}: holds no {SPOOL_FILE}, only files of the shipper: there are no rows in it",
            hint="thermal-shipper adopt --list",
        )
    jobs = [job for job in at.ledger.jobs.of("adopt") if job.source == name]
    unfinished = next((job for job in jobs if not job.finished), None)
    if jobs and unfinished is None and not found.adopted:
        # Killed between the end of the job and its note.
        note_adopted(directory, name, {"at": _now(at.clock.realtime_ns())})
    if unfinished is None and not again:
        _refuse_again(found, done=bool(jobs))
    return found, unfinished


def begin(at: Desk, found: Aside) -> Job:
    """Make the job, before the first byte leaves.

    Raises:
        SpoolError: the file cannot be read at all.
    """
    path = at.settings.spool.directory / ASIDE_DIRECTORY / found.name / SPOOL_FILE
    try:
        with contextlib.closing(open_reader(path)) as connection:
            first = acknowledged_seq(at.settings.spool.directory, connection) + 1
            last = last_key(connection, path)
    except sqlite3.Error as error:
        raise translate(error, "adopt", path) from error
    return at.ledger.jobs.create(found.name, first, last, at.clock.realtime_ns() // 1000)


@contextlib.contextmanager
def source_of(at: Desk, job: Job) -> Iterator[AsideSource]:
    """The rows of a job.

    Raises:
        NotYet: the directory is gone.
        SpoolError: the file cannot be read at all.
    """
    path = at.settings.spool.directory / ASIDE_DIRECTORY / job.source / SPOOL_FILE
    if not path.exists():
        raise NotYet(f"{path}: is gone", hint=f"put it back: job {job.n} has not sent all of it")
    try:
        with AsideSource(path, job.first, job.last) as source:
            yield source
    except sqlite3.Error as error:
        raise translate(error, "adopt", path) from error


def go(at: Desk, job: Job, source: AsideSource, route: Route, progress: Headway) -> Result:
    """Send; at the end the job is closed, and a note left beside the files.

    Raises:
        SpoolError: a file cannot be read or written.
        OSError: the note cannot be written.
    """
    ledger: Ledger = at.ledger
    courier = Courier(route, ledger.jobs, job, source, progress)
    ending = courier.run(ledger.add_event)
    if ending is not Ending.DONE:
        return Result(ending)
    now_ns = route.clock.realtime_ns()
    rows, letters = ledger.jobs.finish(courier.job, now_ns // 1000)
    channel = f"TH_{route.channel.format(n=courier.job.n)}"
    note_adopted(
        at.settings.spool.directory, job.source,
        {"at": _now(now_ns), "channel": channel, "refused": rows, "unreadable": source.unreadable},
    )
    return Result(ending, rows, letters, source.unreadable)


def _now(realtime_ns: int) -> str:
    return datetime.fromtimestamp(realtime_ns // 10**9, UTC).isoformat(timespec="seconds")


def _refuse_again(found: Aside, *, done: bool) -> None:
    if found.adopted or done:
        when = f" on {found.adopted}" if found.adopted else ""
        raise Adopted(
            f"{found.name} was adopted already{when}",
            hint=f"thermal-shipper adopt {found.name} --again sends it once more, flagged",
        )
    if found.carried_over:
        raise Adopted(
            f"{found.name} is of the install that runs now: the collector carried its readable "
            "rows over by itself",
            hint=f"thermal-shipper adopt {found.name} --again sends them all the same, flagged",
        )
