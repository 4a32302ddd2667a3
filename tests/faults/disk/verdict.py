"""The verdict over a trial: each row arrived as it was, once, or it is told what became of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from collector.gaps import GapReason
from tests.faults.disk.recovery import Outcome
from tests.faults.disk.scene import Arrived, Key, Scene, key_of

TELLING: Final = frozenset({GapReason.QUARANTINE, GapReason.LOST_BY_CUT, GapReason.INHERITED})
"""Reasons of gap rows that own up to rows which were stored once."""

NOT_COMPARED: Final = frozenset({"in_doubt"})

UNPROTECTED: Final = frozenset({"device_id", "hostname", "collector_version", "boot_id"})
"""Columns that a row shares with its epoch: its checksum does not cover them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the rows.

    Attributes:
        findings: every broken promise; none: all was kept.
        arrived: rows of before the damage that are in the table as they were.
        told: rows of before the damage that a gap row owns up to.
        tombstones: rows of before the damage that a tombstone stands for.
        beyond: rows at the end that no file knew of any more; the jump of seq covers them.
        renamed: rows whose unprotected columns arrived changed.
        forgotten: rows at the end that were lost with every word about them, as after a power cut
            on a card that lied.
    """

    findings: tuple[str, ...]
    arrived: int
    told: int
    tombstones: int
    beyond: int
    forgotten: int
    renamed: int


def judge(scene: Scene, outcome: Outcome, *, forgets: bool = False) -> Verdict:
    """Hold the table against the truth.

    Args:
        scene: as it was before the damage.
        outcome: of the trial.
        forgets: the newest rows were in what was damaged, and nothing else knew their numbers: a
            new boot, and no byte of them ever left.
    """
    rows = {key_of(row): row for row in outcome.arrived}
    whole = {k for k, row in rows.items() if k in scene.truth and row["kind"] != "tombstone"}
    graves = {k for k, row in rows.items() if k in scene.truth and row["kind"] == "tombstone"}
    missing = scene.truth.keys() - rows.keys()
    gaps = list(_gaps(scene, outcome.arrived))
    told = {key for key in missing if any(_tells(gap, key) for gap in gaps)}
    beyond = {key for key in missing - told if any(_jumps(gap, key) for gap in gaps)}
    forgotten = {key for key in missing - told - beyond if forgets and key[2] > scene.exposed}
    findings = [
        *(f"crashed: {text}" for text in outcome.crashes[:1]),
        *(() if outcome.home else (f"not home: {outcome.troubles[-1:]}",)),
        *(f"lost: {key}" for key in sorted(missing - told - beyond - forgotten)),
        *_duplicates(outcome.arrived),
        *_changed(scene, rows, whole),
        *_invented(scene, outcome, gaps),
        *_unsaid(scene, outcome, missing - forgotten),
    ]
    renamed = [key for key in whole if _differing(scene.truth[key], rows[key]) & UNPROTECTED]
    counts = (len(whole), len(told), len(graves), len(beyond), len(forgotten), len(renamed))
    return Verdict(tuple(findings), *counts)


def _gaps(scene: Scene, arrived: list[Arrived]) -> Iterator[Arrived]:
    """Gap rows that were written after the damage."""
    for row in arrived:
        if row["kind"] == "gap" and key_of(row) not in scene.truth:
            yield row


def _tells(gap: Arrived, key: Key) -> bool:
    """Whether a gap row owns up to a row."""
    detail: dict[str, Any] = gap["detail"]
    if detail["reason"] not in TELLING:
        return False
    if detail.get("install_id") == key[0]:
        return True
    return gap["install_id"] == key[0] and _within(detail, key[2])


def _jumps(gap: Arrived, key: Key) -> bool:
    """Whether a row lies in the numbers that a start left out, not knowing that they were given."""
    detail: dict[str, Any] = gap["detail"]
    same = gap["install_id"] == key[0] and detail["reason"] == GapReason.SEQ_JUMP
    return same and _within(detail, key[2])


def _within(detail: dict[str, Any], seq: int) -> bool:
    first, last = detail.get("first_seq"), detail.get("last_seq")
    return first is not None and last is not None and first <= seq <= last


def _duplicates(arrived: list[Arrived]) -> Iterator[str]:
    """Keys that came twice, a later copy not being flagged as possibly one."""
    copies: Counter[Key] = Counter()
    for row in arrived:
        key = key_of(row)
        copies[key] += 1
        if copies[key] > 1 and not row["in_doubt"]:
            yield f"duplicated: {key}"


def _differing(one: Arrived, other: Arrived) -> set[str]:
    """Names of the columns that differ."""
    names = (one.keys() | other.keys()) - NOT_COMPARED
    return {name for name in names if one.get(name) != other.get(name)}


def _changed(scene: Scene, rows: dict[Key, Arrived], whole: set[Key]) -> Iterator[str]:
    """Rows that arrived with another value than they were stored with."""
    for key in sorted(whole):
        names = _differing(scene.truth[key], rows[key]) - UNPROTECTED
        if names:
            yield f"changed: {key}: {', '.join(sorted(names))}"


def _invented(scene: Scene, outcome: Outcome, gaps: list[Arrived]) -> Iterator[str]:
    """Rows that nobody stored, and fresh samples of which nobody knows."""
    keys = {key_of(row) for row in outcome.arrived}
    for row in outcome.arrived:
        key = key_of(row)
        known = key in scene.truth or key in outcome.fresh
        if not known and row["kind"] in ("sample", "tombstone"):
            yield f"invented: {row['kind']} {key}"
    for key in outcome.fresh.keys() - keys if outcome.home else ():
        if not any(_tells(gap, key) for gap in gaps):
            yield f"lost: fresh sample {key}"


def _unsaid(scene: Scene, outcome: Outcome, missing: set[Key]) -> Iterator[str]:
    """A quarantine that the log did not hear of, or a file set aside without a word."""
    moved = [name for name in outcome.aside if "quarantine" in name]
    if moved and not outcome.quarantined:
        yield f"set aside without a word: {moved}"
    if missing and not any(happening.alarm for happening in outcome.happenings):
        yield f"{len(missing)} rows are gone, and no alarm was raised"
