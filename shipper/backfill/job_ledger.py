"""The progress of one job, in the words of the ledger that the drain is used to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, Protocol

from common.identity import Install
from common.ship_state import Acknowledgement, Mark
from shipper.backfill.jobs import Job, Kept
from shipper.backfill.source import read_line
from shipper.dead_letters import DeadLetter
from shipper.ports import LettersPort
from shipper.progress import Progress

Tell = Callable[[str, str, int], None]
"""Kind, detail (JSON) and time of an event; ``Ledger.add_event``."""

_NOT_TOLD: Final = frozenset({"heartbeat"})


class JobFile(Protocol):
    """Where a job's progress is stored; see ``Jobs``."""

    def progress(self, job: Job) -> Progress:
        """How far it has come."""

    def advance(
        self, job: Job, columns: dict[str, str | int | None], kept: Iterable[Kept] = ()
    ) -> None:
        """Store progress, and with it what is kept."""

    def refused(self, job: Job) -> Iterable[int]:
        """Places that were refused at the door."""

    def renumber(self, job: Job) -> Job:
        """Give a job that has sent nothing yet another channel."""


class MemoryFile:
    """A job that ends with its process."""

    def __init__(self) -> None:
        self.state = Progress()
        self.kept: list[Kept] = []

    def progress(self, job: Job) -> Progress:
        """See ``JobFile``."""
        return self.state

    def advance(
        self, job: Job, columns: dict[str, str | int | None], kept: Iterable[Kept] = ()
    ) -> None:
        """See ``JobFile``."""
        self.kept += kept
        told: dict[str, Any] = dict(columns)
        if "acknowledged_seq" in told:
            seq, token = told.pop("acknowledged_seq"), told.pop("acknowledged_token")
            told["acknowledged"] = None if seq is None else Acknowledgement(token, job.name, seq)
        for name in ("exposed", "in_doubt"):
            if f"{name}_seq" in told:
                seq = told.pop(f"{name}_seq")
                told[name] = None if seq is None else Mark(job.name, seq)
        self.state = replace(self.state, **told)

    def refused(self, job: Job) -> tuple[int, ...]:
        """See ``JobFile``."""
        return tuple(kept.place for kept in self.kept if kept.place)

    def renumber(self, job: Job) -> Job:
        """See ``JobFile``."""
        return replace(job, n=job.n + 1)


class JobLedger:
    """``shipper.ports.LedgerPort`` for one job.

    Args:
        jobs: the file.
        job: which one.
        tell: takes events of shipping; they are told as those of a backfill.

    Attributes:
        asked: what the drain would ask the collector for: the channel has a token of another job.
        refused: rows that were refused since this object was made.
        unclean: acknowledgements with refused rows, in a row.
    """

    def __init__(self, jobs: JobFile, job: Job, tell: Tell) -> None:
        self._jobs = jobs
        self._job = job
        self._tell = tell
        self.asked = ""
        self.refused = 0
        self.unclean = 0

    @property
    def dead_letters(self) -> LettersPort:
        """What was kept of a job is found by its places, not by keys."""
        return _NoLetters()

    @property
    def acknowledged(self) -> int:
        """The last place that is committed and counted; 0: none."""
        found = self.progress().acknowledged
        return 0 if found is None else found.seq

    def settle(self, install: Install, realtime_ns: int) -> None:
        """The file was settled before the job began."""

    def progress(self) -> Progress:
        """See ``LedgerPort``."""
        return self._jobs.progress(self._job)

    def expose(self, epoch: str, seq: int) -> None:
        """See ``LedgerPort``."""
        self._jobs.advance(self._job, {"exposed_seq": seq})

    def acknowledge(
        self,
        acknowledgement: Acknowledgement,
        *,
        rows_inserted: int,
        rows_error: int,
        held: Iterable[DeadLetter] = (),
        in_doubt: Mark | None = None,
    ) -> None:
        """See ``LedgerPort``; what is held goes by the keys of its rows."""
        before = self.refused
        columns: dict[str, str | int | None] = {
            # Place 0 is before the first row: nothing is acknowledged yet.
            "acknowledged_seq": acknowledgement.seq or None,
            "acknowledged_token": acknowledgement.token,
            "rows_inserted_base": rows_inserted,
            "rows_error_base": rows_error,
            "in_doubt_seq": in_doubt and in_doubt.seq,
        }
        # All of it before the transaction: the rows may be read from the same file.
        kept = list(self._count(held))
        self._jobs.advance(self._job, columns, kept)
        self.unclean = self.unclean + 1 if self.refused > before else 0

    def retarget(
        self,
        target: str,
        created_on_ms: int | None,
        in_doubt: Mark | None,
        *,
        rows_inserted: int = 0,
        rows_error: int = 0,
    ) -> None:
        """See ``LedgerPort``."""
        columns: dict[str, str | int | None] = {
            "target": target,
            "created_on_ms": created_on_ms,
            "rows_inserted_base": rows_inserted,
            "rows_error_base": rows_error,
            "in_doubt_seq": in_doubt and in_doubt.seq,
        }
        self._jobs.advance(self._job, columns)

    def add_dead_letter(self, letter: DeadLetter) -> int:
        """Keep a row that was refused at the door; its place is in ``first_seq``."""
        (own,) = by_key(letter, "row")
        self._jobs.advance(self._job, {}, [Kept(letter.first_seq, own)])
        self.refused += 1
        return 0

    def add_event(self, kind: str, detail: str, realtime_ns: int) -> None:
        """See ``LedgerPort``."""
        if kind not in _NOT_TOLD:
            self._tell(f"backfill_{kind}", detail, realtime_ns)

    def close_events(self, realtime_ns: int) -> None:
        """The shipper does."""

    def drop_copied_events(self, ids: Iterable[str]) -> None:
        """A job has none."""

    def request(self, kind: str, reason: str) -> str:
        """The collector can mend nothing here; the number of the channel is changed instead."""
        self.asked = reason
        return ""

    def requests(self) -> tuple[str, ...]:
        """See ``LedgerPort``."""
        return ()

    def drop_requests(self, ids: Iterable[str]) -> None:
        """See ``LedgerPort``."""

    def _count(self, held: Iterable[DeadLetter]) -> Iterator[Kept]:
        for letter in held:
            self.refused += letter.payload.count(b"\n")
            yield from (Kept(0, own) for own in by_key(letter, "range"))


class _NoLetters:
    """See ``JobLedger.dead_letters``."""

    def list(self, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """None."""
        return []


def by_key(letter: DeadLetter, form: Any) -> Iterator[DeadLetter]:
    """A letter over places as letters over the rows' own epochs and seqs.

    Rows of one letter that were put together from several are not consecutive: each stretch that
    is becomes a letter of its own, so that a letter names no row that it does not hold.
    """
    rows = []
    for text in letter.payload.splitlines(keepends=True):
        row = read_line(text)
        assert row is not None, "a job sends only what it can read"
        rows.append((row["epoch"], row["seq"], text))
    numbered = enumerate(rows)
    for _, stretch in groupby(numbered, key=lambda one: (one[1][0], one[1][1] - one[0])):
        part = [row for _, row in stretch]
        yield DeadLetter(
            form, part[0][0], part[0][1], part[-1][1], letter.reason, letter.message,
            b"".join(text for _, _, text in part), letter.created_at,
        )
