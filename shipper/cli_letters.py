"""Prints and changes the dead letters: ``thermal-shipper dead-letters …``."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from common.clock import SystemClock
from common.config import load
from common.errors import ThermalError, UsageError
from common.redaction import SECRETS
from shipper.backfill.courier import Ending
from shipper.backfill.jobs import Job
from shipper.backfill.requeue import Chosen, choose, go, pages
from shipper.cli_progress import EXIT_REFUSED, Teller, say, unfinished
from shipper.dead_letters import DeadLetter
from shipper.operate import Desk, desk, letters_beside, route
from shipper.text import grouped

_MESSAGE_MAX: Final = 60
_AGAIN: Final = "thermal-shipper dead-letters requeue"


def list_letters(config: Path, *, as_json: bool) -> int:
    """A line a letter, oldest first, and the total."""
    found, rows = 0, 0
    with letters_beside(load(config).spool.directory) as letters:
        for letter in pages(letters):
            found, rows = found + 1, rows + count(letter)
            if found == 1 and not as_json:
                print(f"{'ID':>6}  {'FORM':<5}  {'KEPT AT':<20}  {'EPOCH':<16}  "
                      f"{'SEQ':<15}  {'ROWS':>5}  REASON: MESSAGE")
            print(_clean(json.dumps(about(letter)) if as_json else line(letter)))
    if not as_json:
        print(f"{grouped(found)} dead letters, {grouped(rows)} rows" if found
              else "no dead letters: the server refused nothing")
    return 0


def show(config: Path, number: int, *, as_json: bool) -> int:
    """One letter with its rows.

    Raises:
        UsageError: there is none of that number.
    """
    with letters_beside(load(config).spool.directory) as letters:
        letter = _must_find(letters.find(number), number)
    rows = [_readable(text) for text in letter.payload.splitlines()]
    if as_json:
        print(_clean(json.dumps({**about(letter), "message": letter.message, "lines": rows})))
        return 0
    for name, value in about(letter).items():
        shown = letter.message if name == "message" else value
        print(_clean(f"{name:<10} {shown}"))
    if not rows:
        print("its rows are damaged: they cannot be shown, exported or sent")
    for row in rows:
        print(_clean(json.dumps(row, indent=2, ensure_ascii=False)))
    return 0


def export(config: Path, numbers: Sequence[int], output: Path | None) -> int:
    """The rows as NDJSON, on stdout or in a new file with mode 0600.

    Raises:
        UsageError: a number is not there, or the file is.
    """
    written = damaged = 0
    with letters_beside(load(config).spool.directory) as letters, _output(output) as file:
        found = (
            (_must_find(letters.find(number), number) for number in numbers)
            if numbers else pages(letters)
        )
        for letter in found:
            damaged += not letter.payload
            written += letter.payload.count(b"\n")
            file.write(_clean(letter.payload.decode(errors="replace")))
    say(f"{grouped(written)} rows exported")
    if damaged:
        say(f"{grouped(damaged)} dead letters are damaged: their rows cannot be exported")
    return 0


def requeue(
    config: Path, stop: threading.Event, numbers: Sequence[int], *, everything: bool, as_json: bool
) -> int:
    """Send letters again, after finishing what an earlier requeue began.

    Raises:
        UsageError: nothing was asked for, and nothing is unfinished.
    """
    clock = SystemClock(stop)
    with desk(load(config), clock) as at:
        begun = at.ledger.jobs.unfinished("requeue")
        if not numbers and not everything and not begun:
            raise UsageError(
                "dead-letters requeue: no ID and no --all", hint="thermal-shipper dead-letters list"
            )
        totals = {"sent": 0, "refused": 0, "skipped": 0}
        for job in begun:
            say(f"going on with unfinished job {job.n}")
            if (status := _send(at, job, None, totals)) is not None:
                return status
        if numbers or everything:
            chosen = choose(at.ledger, at.spool, None if everything else numbers)
            _tell_skipped(chosen)
            totals["skipped"] = len(chosen.skipped)
            if chosen.letters:
                job = at.ledger.jobs.create_for_letters(
                    chosen.letters, chosen.unsent, clock.realtime_ns() // 1000
                )
                if (status := _send(at, job, chosen.rows, totals)) is not None:
                    return status
    return _sum(totals, as_json=as_json)


def drop(config: Path, numbers: Sequence[int]) -> int:
    """Forget letters.

    Raises:
        UsageError: one is not there, or an unfinished job sends it; then none is forgotten.
    """
    with desk(load(config), SystemClock()) as at:
        taken = at.ledger.jobs.taken()
        for number in numbers:
            _must_find(at.ledger.dead_letters.find(number), number)
            if number in taken:
                raise UsageError(
                    f"dead letter {number} belongs to an unfinished job", hint=_AGAIN
                )
        for number in dict.fromkeys(numbers):
            at.ledger.dead_letters.drop(number)
    print(f"{grouped(len(set(numbers)))} dead letters dropped: their rows are nowhere else")
    return 0


def about(letter: DeadLetter) -> dict[str, Any]:
    """A letter without its rows."""
    return {
        "id": letter.id, "form": letter.form, "kept_at": _time(letter.created_at),
        "epoch": letter.epoch, "first_seq": letter.first_seq, "last_seq": letter.last_seq,
        "rows": count(letter), "damaged": not letter.payload, "reason": letter.reason,
        "message": letter.message,
    }


def count(letter: DeadLetter) -> int:
    """Rows that the letter holds."""
    return letter.payload.count(b"\n")


def line(letter: DeadLetter) -> str:
    """A letter for a person."""
    seq = str(letter.first_seq)
    if letter.last_seq != letter.first_seq:
        seq += f"-{letter.last_seq}"
    message = letter.message
    if len(message) > _MESSAGE_MAX:
        message = message[: _MESSAGE_MAX - 1] + "…"
    rows = str(count(letter)) if letter.payload else "damaged"
    return (
        f"{letter.id:>6}  {letter.form:<5}  {_time(letter.created_at):<20}  {letter.epoch:<16}  "
        f"{seq:<15}  {rows:>5}  {letter.reason}: {message}"
    )


def _send(at: Desk, job: Job, rows: int | None, totals: dict[str, int]) -> int | None:
    """Send one job; the exit status when it did not come to its end."""
    with route(at) as way:
        teller = Teller(at.clock, rows)
        result = go(at.ledger, job, way, teller.progress)
    totals["sent"] += teller.progress.committed_rows
    if result.ending is not Ending.DONE:
        return unfinished(result.ending, teller.progress, _AGAIN)
    totals["refused"] += result.stays
    return None


def _sum(totals: dict[str, int], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(totals))
    else:
        print(", ".join(f"{grouped(rows)} {what}" for what, rows in (
            ("rows sent and committed", totals["sent"]),
            ("rows stay dead letters", totals["refused"]),
            ("dead letters skipped", totals["skipped"]),
        )))
    return EXIT_REFUSED if totals["refused"] or totals["skipped"] else 0


def _tell_skipped(chosen: Chosen) -> None:
    for number, why in chosen.skipped:
        say(f"dead letter {number} is kept: {why}")


def _must_find(letter: DeadLetter | None, number: int) -> DeadLetter:
    if letter is None:
        raise UsageError(
            f"dead letter {number}: there is none of that number",
            hint="thermal-shipper dead-letters list",
        )
    return letter


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(f"{path}: is there already", hint="choose another --output") from None
    except OSError as error:
        raise ThermalError(
            f"{path}: cannot be made: {error.strerror}", hint="choose another --output"
        ) from error
    with os.fdopen(descriptor, "w") as file:
        yield file


def _readable(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def _clean(text: str) -> str:
    return SECRETS.clean(text)


def _time(micros: int) -> str:
    try:
        return f"{datetime.fromtimestamp(micros // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return "undated"
