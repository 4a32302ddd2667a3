"""Which dead letters can be sent again, and the job that does it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.identity import Position
from shipper.backfill.courier import Courier, Ending, Headway, Route
from shipper.backfill.jobs import Job, Kept
from shipper.backfill.letter_source import LetterSource, usable
from shipper.dead_letters import DeadLetter, DeadLetters
from shipper.ledger import Ledger
from shipper.ports import SpoolPort
from shipper.protocol.reconcile import START

_PAGE = 16


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a requeue begins with.

    Attributes:
        letters: number and lines of each letter that is sent.
        rows: rows that are sent.
        unsent: lines of them that cannot be sent, as letters of their own.
        skipped: number of each letter that stays as it is, and why.
    """

    letters: tuple[tuple[int, int], ...]
    rows: int
    unsent: tuple[Kept, ...]
    skipped: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job.

    Attributes:
        ending: how the drive ended.
        stays: rows that are dead letters again, or still.
        letters: as how many.
    """

    ending: Ending
    stays: int = 0
    letters: int = 0


def choose(ledger: Ledger, spool: SpoolPort, ids: Iterable[int] | None) -> Chosen:
    """Look at letters, one at a time.

    Args:
        ledger: the file.
        spool: tells whether the live stream is past a row.
        ids: which letters; ``None``: all.
    """
    taken, lineage, done = ledger.jobs.taken(), spool.lineage(), START
    acknowledged = ledger.progress().acknowledged
    if acknowledged is not None:
        done = lineage.position(acknowledged.epoch, acknowledged.seq) or START
    letters, skipped = [], []
    unsent: list[Kept] = []
    rows = 0
    for number, letter in _looked_up(ledger.dead_letters, ids):
        if letter is None:
            skipped.append((number, "there is no such dead letter"))
            continue
        if number in taken:
            skipped.append((number, "it belongs to an unfinished job"))
            continue
        place = lineage.position(letter.epoch, letter.last_seq)
        found = usable(letter)
        if found.problem:
            skipped.append((number, found.problem))
        elif place is not None and place > done:
            skipped.append((number, _not_past(place, done)))
        else:
            letters.append((number, found.rows))
            unsent += found.unsent
            rows += found.sendable
    return Chosen(tuple(letters), rows, tuple(unsent), tuple(skipped))


def go(ledger: Ledger, job: Job, route: Route, progress: Headway) -> Result:
    """Send a job's rows; when all are committed and counted, its letters go.

    Raises:
        SpoolError: a file cannot be read or written.
    """
    source = LetterSource(ledger.jobs, ledger.dead_letters, job)
    courier = Courier(route, ledger.jobs, job, source, progress)
    ending = courier.run(ledger.add_event)
    if ending is not Ending.DONE:
        return Result(ending)
    now_us = route.clock.realtime_ns() // 1000
    return Result(ending, *ledger.jobs.finish(courier.job, now_us))


def pages(letters: DeadLetters) -> Iterator[DeadLetter]:
    """All dead letters by number, a few in memory at a time."""
    after = 0
    while found := letters.list(after, _PAGE):
        yield from found
        after = found[-1].id or 0


def _looked_up(
    letters: DeadLetters, ids: Iterable[int] | None
) -> Iterator[tuple[int, DeadLetter | None]]:
    if ids is None:
        for letter in pages(letters):
            yield letter.id or 0, letter
        return
    for number in dict.fromkeys(ids):
        yield number, letters.find(number)


def _not_past(place: Position, done: Position) -> str:
    """Without its letter the live stream would send such a row itself, and it would be doubled."""
    return (
        f"the live stream is not past its row yet (seq {place.seq}, acknowledged {done.seq}): "
        "run the shipper first"
    )
