"""Every crash of a recorded life: each boundary between two operations, by each damage."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.emulators.disk.crash import DAMAGES, Card, Damage, HonestCard, choices_of_names
from tests.emulators.disk.operations import Operation
from tests.emulators.disk.tree import Tree
from tests.faults.card.judge import Promises, judge_honest, moment_at
from tests.faults.card.recording import Moment, Recording
from tests.faults.card.recovery import Outcome, recover

FINDINGS_KEPT: Final = 20
_SHARED_MEMORY: Final = "-shm"

Judge = Callable[[Outcome, Promises], list[str]]


@dataclass(frozen=True, slots=True)
class State:
    """One crash.

    Attributes:
        at: length of the log.
        damage: what became of what waited.
        image: the disk afterwards.
    """

    at: int
    damage: str
    image: Tree


@dataclass(slots=True)
class Tally:
    """What an enumeration found.

    Attributes:
        states: crashes by damage.
        images: how many different disks, with different worlds around them, these were.
        bad: states with a finding, by damage.
        happenings: what starts told the log, by name, over the different images.
        failed: images that could not be read or drained, by the error.
        findings: the first of them, with the place.
    """

    states: Counter[str] = field(default_factory=Counter)
    images: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    happenings: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count what another enumeration found too."""
        self.states.update(other.states)
        self.images += other.images
        self.bad.update(other.bad)
        self.failed.update(other.failed)
        self.happenings.update(other.happenings)
        self.findings += other.findings

    @property
    def line(self) -> str:
        """For people."""
        return (
            f"{self.states.total()} states, {self.images} different; "
            f"bad: {dict(self.bad) or 'none'}; told: {dict(self.happenings)}; "
            f"unreadable: {self.failed.total()}"
        )


def states(
    recording: Recording,
    card: Card,
    damages: Mapping[str, Damage] = DAMAGES,
    every: int = 1,
    seed: int = 1,
    *,
    names: bool = True,
) -> Iterator[State]:
    """All crashes of a recording from its ``begin`` on.

    Args:
        recording: the life.
        card: what keeps its word, or not; empty so far.
        damages: what to do to what waits.
        every: look at every so many-th boundary only.
        seed: of the damages that draw.
        names: also choices of the names that wait, wherever one has just been changed.
    """
    boundary = 0
    shared = _shared_memory(recording)
    for record in recording.records:
        card.take(record.operation)
        if record.end < recording.begin or record.operation.node in shared:
            continue
        boundary += 1
        if boundary % every:
            continue
        for name, damage in damages.items():
            random = Random(f"{seed} {boundary} {name}")
            survivors = list(damage(card.waiting, random))
            yield State(record.end, name, card.after_cut(survivors))
        if names and record.operation.names:
            for choice in choices_of_names(card.waiting):
                yield State(record.end, "names", card.after_cut(choice))


def enumerate_crashes(
    recording: Recording,
    crashes: Iterator[State],
    judge: Judge = judge_honest,
) -> Tally:
    """Recover every state and judge it; states that are alike in all are recovered once."""
    tally, known = Tally(), dict[bytes, Outcome]()
    for state in crashes:
        moment = moment_at(recording, state.at)
        name = _digest(state.image, moment)
        if name not in known:
            known[name] = recover(state.image, moment)
            tally.happenings.update(known[name].happenings)
            tally.failed.update([known[name].failed] if known[name].failed else [])
        tally.states[state.damage] += 1
        found = judge(known[name], Promises.until(recording, state.at))
        if found:
            tally.bad[state.damage] += 1
            if len(tally.findings) < FINDINGS_KEPT:
                tally.findings.append(f"{state.damage} at {state.at}: {found[0]}")
    tally.images = len(known)
    return tally


def honest(recording: Recording) -> Card:
    """A card that keeps its word."""
    return HonestCard(recording.base)


def _shared_memory(recording: Recording) -> set[int]:
    """Nodes of SQLite's ``-shm`` files: the kernel writes them when it likes; nobody needs them."""
    names: Sequence[Operation] = [record.operation for record in recording.records]
    return {o.node for o in names if o.at is not None and o.at.name.endswith(_SHARED_MEMORY)}


def _digest(image: Tree, moment: Moment) -> bytes:
    """What the recovery of an image depends on."""
    digest = hashlib.blake2b(moment.server, digest_size=16)
    digest.update(f"{moment.uptime_s} {moment.hardware} {moment.samples}".encode())
    for path, node in sorted(image.files(), key=lambda found: found[0]):
        if not path.name.endswith(_SHARED_MEMORY):
            digest.update(f"{path} {node.entries is None} {len(node.data)} ".encode())
            digest.update(node.data)
    return digest.digest()
