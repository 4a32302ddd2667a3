"""The verdict over one crash: what was promised before it, held against what came of it."""

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from common.ship_state import Mark
from tests.demo.rows import Row
from tests.faults.card.recording import Moment, Recording, Sent, Stored
from tests.faults.card.recovery import Outcome

Key = tuple[str, str, int]
Range = tuple[int, int]
_OF_ROWS: Final = frozenset({"thinned", "dropped", "quarantine"})
"""Gap rows with these reasons tell of rows that were given up on purpose or could not be read."""


@dataclass(slots=True)
class _Told:
    """Ranges of seq in the gap rows of an install: of rows given up, and others."""

    of_rows: list[Range] = field(default_factory=list)
    others: list[Range] = field(default_factory=list)

    @property
    def all(self) -> list[Range]:
        """Both."""
        return [*self.of_rows, *self.others]


@dataclass(frozen=True, slots=True)
class Promises:
    """What had been said by the time of the cut.

    Attributes:
        stored: samples whose storing had returned.
        sent: the last batch that the server was given; ``None``: none.
    """

    stored: Sequence[Stored]
    sent: Sent | None

    @staticmethod
    def until(recording: Recording, at: int) -> "Promises":
        """Those of a recording up to a length of its log."""
        stored = bisect.bisect_right(recording.stored, at, key=lambda s: s.at)
        sent = bisect.bisect_right(recording.sent, at, key=lambda s: s.at)
        return Promises(recording.stored[:stored], recording.sent[sent - 1] if sent else None)


def moment_at(recording: Recording, at: int) -> Moment:
    """The world outside at a length of the log."""
    found = bisect.bisect_right(recording.moments, at, key=lambda m: m.at)
    return recording.moments[max(found - 1, 0)]


def judge_honest(outcome: Outcome, promises: Promises) -> list[str]:
    """What is wrong when the card kept every barrier; empty: nothing."""
    if outcome.failed:
        return [f"not opened: {outcome.failed}"]
    return [
        *_health(outcome),
        *_bad_crc(outcome),
        *_copies(outcome, flagged_is_fine=False),
        *_lost(outcome, promises),
        *_rekeyed(outcome, promises),
        *_unexposed(outcome, promises),
        *_trimmed_without_licence(outcome, promises),
    ]


def judge_lying(outcome: Outcome, promises: Promises) -> list[str]:
    """What is wrong when it did not: what is lost must be told, what comes twice be flagged.

    A spool that cannot be read, and says so, is loud enough; the tally counts it.
    """
    if outcome.failed:
        return []
    return [
        *_holes(outcome.arrived),
        *_copies(outcome, flagged_is_fine=True),
        *([] if outcome.drained else ["not drained"]),
        *_silently_lost(outcome, promises),
    ]


def missing(outcome: Outcome, promises: Promises) -> list[Stored]:
    """Promised samples that are neither in the table nor in a file set aside."""
    there = {_sample(row) for row in outcome.arrived}
    return [s for s in promises.stored if s.taken_at not in there and s.key not in outcome.aside]


def _health(outcome: Outcome) -> Iterable[str]:
    if not outcome.drained:
        yield "not drained"
    if outcome.unstable:
        yield f"{outcome.unstable} rows changed by a second start"
    yield from _holes(outcome.arrived)


def _bad_crc(outcome: Outcome) -> Iterable[str]:
    if outcome.bad_crc:
        yield f"{outcome.bad_crc} rows with a wrong check sum in the spool"


def _copies(outcome: Outcome, *, flagged_is_fine: bool) -> Iterable[str]:
    """One key, one sample, once."""
    copies: dict[int, list[Row]] = defaultdict(list)
    owners: dict[Key, set[int | None]] = defaultdict(set)
    for row in outcome.arrived:
        taken_at = _sample(row)
        owners[row.key].add(taken_at)
        if taken_at is not None:
            copies[taken_at].append(row)
    for taken_at, rows in copies.items():
        flagged = any(row.values.get("in_doubt") for row in rows[1:])
        if len(rows) > 1 and not (flagged and flagged_is_fine):
            yield f"sample {taken_at} arrived {len(rows)} times"
    for key, samples in owners.items():
        if len(samples) > 1:
            yield f"key {key} names {len(samples)} rows"
    for key, count in Counter(row.key for row in outcome.arrived).items():
        if count > 1 and not flagged_is_fine:
            yield f"key {key} arrived {count} times"


def _lost(outcome: Outcome, promises: Promises) -> Iterable[str]:
    """An honest card loses nothing; thinning and quarantine, where a life has them, must tell."""
    told = _told(outcome.arrived)
    for stored in missing(outcome, promises):
        if not any(low <= stored.seq <= high for low, high in told[stored.install].of_rows):
            yield f"row {stored.key} of sample {stored.taken_at} is lost"


def _silently_lost(outcome: Outcome, promises: Promises) -> Iterable[str]:
    """A lost row is told by a gap row or a tombstone, or it was of the tail of its epoch.

    A tail that was cut off shows as missing time before the next epoch's first row, which the
    collector's start turns into a gap row.
    """
    told = _told(outcome.arrived)
    last: dict[tuple[str, str], int] = defaultdict(int)
    buried = {row.key for row in outcome.arrived if row.kind == "tombstone"}
    for row in outcome.arrived:
        place = (row.key.install_id, row.key.epoch)
        last[place] = max(last[place], row.key.seq)
    for stored in missing(outcome, promises):
        in_gap = any(low <= stored.seq <= high for low, high in told[stored.install].all)
        if in_gap or stored.key in buried:
            continue
        if stored.seq < last[stored.install, stored.epoch]:
            yield f"row {stored.key} is lost, and nothing tells"


def _rekeyed(outcome: Outcome, promises: Promises) -> Iterable[str]:
    """A stored sample keeps its key, in the spool and in the table."""
    promised = {stored.taken_at: stored.key for stored in promises.stored}
    for row in (*outcome.rows, *outcome.arrived):
        taken_at = _sample(row)
        if taken_at is not None and promised.get(taken_at, row.key) != row.key:
            yield f"sample {taken_at} was {promised[taken_at]}, now {tuple(row.key)}"


def _unexposed(outcome: Outcome, promises: Promises) -> Iterable[str]:
    """What had left was stored as exposed before."""
    sent, exposed = promises.sent, outcome.exposed
    if sent is None or sent.epoch not in outcome.lineage:
        return
    if exposed is None or not _covers(outcome.lineage, exposed, sent):
        yield f"seq {sent.seq} of {sent.epoch} had left, exposed is {exposed}"


def _trimmed_without_licence(outcome: Outcome, promises: Promises) -> Iterable[str]:
    """What is no longer in the spool has its acknowledgement there, or a gap row."""
    there = {row.key for row in outcome.rows}
    told = _told(outcome.rows)
    for stored in promises.stored:
        if stored.key in there or stored.epoch not in outcome.lineage:
            continue
        thinned = any(low <= stored.seq <= high for low, high in told[stored.install].of_rows)
        trimmed = outcome.trimmed
        if not thinned and (trimmed is None or not _covers(outcome.lineage, trimmed, stored)):
            yield f"row {stored.key} is not in the spool, trimmed is {trimmed}"


def _covers(lineage: Sequence[str], mark: Mark, row: Sent | Stored) -> bool:
    """Whether a mark is at a row or after it."""
    if mark.epoch not in lineage:
        return False
    place = lineage.index
    return (place(mark.epoch), mark.seq) >= (place(row.epoch), row.seq)


def _holes(arrived: Sequence[Row]) -> Iterable[str]:
    """Numbers missing from the table's 1, 2, 3 … of an install, that no gap row tells of."""
    have: dict[str, set[int]] = defaultdict(set)
    told = _told(arrived)
    for row in arrived:
        have[row.key.install_id].add(row.key.seq)
    for install, seqs in have.items():
        for low, high in _between(sorted(seqs)):
            if not _told_whole(low, high, told[install].all):
                yield f"install {install}: seq {low}…{high} are neither there nor told"


def _between(seqs: Sequence[int]) -> Iterable[Range]:
    """The stretches that are missing, from 1 on."""
    for before, after in zip([0, *seqs], seqs, strict=False):
        if after > before + 1:
            yield before + 1, after - 1


def _told_whole(low: int, high: int, ranges: Sequence[Range]) -> bool:
    at = low
    for first, last in sorted(ranges):
        if first <= at <= last:
            at = last + 1
    return at > high


def _told(rows: Iterable[Row]) -> dict[str, _Told]:
    """What gap rows tell, by install."""
    told: dict[str, _Told] = defaultdict(_Told)
    for row in rows:
        first, last = row.detail.get("first_seq"), row.detail.get("last_seq")
        if row.kind != "gap" or first is None or last is None:
            continue
        of_rows = row.detail.get("reason") in _OF_ROWS
        found = told[row.key.install_id]
        (found.of_rows if of_rows else found.others).append((int(first), int(last)))
    return told


def _sample(row: Row) -> int | None:
    """What names the sample of a row; ``None``: it is of another kind."""
    return int(row.values["taken_at"]) if row.kind == "sample" else None
