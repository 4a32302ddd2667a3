"""What a disk may hold after a power cut: a durable part, and what becomes of the rest.

Two cards are modelled. The *honest* one keeps what a barrier covered: the bytes and size of a file
by its fsync, the names in a directory by the fsync of that directory. That is POSIX at its
strictest: ext4 would also keep a new file's name at the file's fsync, and the order of names. All
that waits for a barrier may be lost, kept in part, or kept in another order (``DAMAGES``). The
*lying* one acknowledges barriers and still has its last operations in a cache.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Final, Protocol

from tests.emulators.disk.operations import Kind, Operation
from tests.emulators.disk.tree import Tree

SECTOR_BYTES: Final = 512
"""What a card writes whole or not at all; SQLite assumes no more (``SQLITE_IOCAP_ATOMIC512``)."""
FLASH_PAGE_BYTES: Final = 16 * 1024
"""What a card's flash programs at once: a cut may spoil what lies beside the sectors written."""

NAMES_CHOSEN: Final = 4

Damage = Callable[[Sequence[Operation], Random], Iterable[Operation]]
"""What survives of the operations that wait, in the order in which they were asked for."""


def survive(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """Everything: only the processes died."""
    return waiting


def lose(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """Nothing."""
    return ()


def prefix(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """What came first, up to some operation."""
    return waiting[: random.randint(0, len(waiting))]


def reorder(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """Some, whichever came first: a disk may write in any order between two barriers."""
    return [operation for operation in waiting if random.random() < 0.5]


def newest(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """What came last, from some operation on."""
    return waiting[random.randint(0, len(waiting)) :]


def tear(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """Some sectors of some writes, and the first sectors of the last one."""
    kept: list[Operation] = []
    for operation in waiting:
        if operation.kind is not Kind.WRITE:
            kept += [operation] if random.random() < 0.5 else []
            continue
        cut_at = random.randint(0, len(operation.data) // SECTOR_BYTES)
        for number, sector in enumerate(sectors(operation)):
            whole = number < cut_at if operation is waiting[-1] else random.random() < 0.5
            kept += [sector] if whole else []
    return kept


def spoil(waiting: Sequence[Operation], random: Random) -> Iterable[Operation]:
    """All but the last write, whose whole flash page is noise; its neighbours too."""
    writes = [operation for operation in waiting if operation.kind is Kind.WRITE]
    if not writes:
        return waiting
    last = writes[-1]
    start = last.offset - last.offset % FLASH_PAGE_BYTES
    noise = Operation(Kind.WRITE, last.node, offset=start, data=random.randbytes(FLASH_PAGE_BYTES))
    return [*(operation for operation in waiting if operation is not last), noise]


DAMAGES: Final[dict[str, Damage]] = {
    "survive": survive, "lose": lose, "prefix": prefix, "newest": newest, "reorder": reorder,
    "tear": tear,
}
"""What an honest card may do."""


def choices_of_names(waiting: Sequence[Operation]) -> Iterator[list[Operation]]:
    """What can survive of the names that wait, while every byte does.

    One of them is lost, or is all that is left; and every choice of the ``NAMES_CHOSEN`` newest.
    """
    names = [number for number, operation in enumerate(waiting) if operation.names]
    lost = [{name} for name in names] + [set(names) - {name} for name in names]
    newest = names[-NAMES_CHOSEN:]
    for count in range(len(newest) + 1):
        lost += [set(gone) for gone in itertools.combinations(newest, count)]
    for gone in lost:
        yield [operation for number, operation in enumerate(waiting) if number not in gone]


def sectors(write: Operation) -> Iterable[Operation]:
    """A write as one for each sector that it touches."""
    at, end = write.offset, write.offset + len(write.data)
    while at < end:
        stop = min(end, at - at % SECTOR_BYTES + SECTOR_BYTES)
        data = write.data[at - write.offset : stop - write.offset]
        yield Operation(Kind.WRITE, write.node, offset=at, data=data)
        at = stop


class Card(Protocol):
    """Takes the operations of a run one after the other."""

    @property
    def waiting(self) -> Sequence[Operation]:
        """What a cut now may lose, oldest first."""

    def take(self, operation: Operation) -> None:
        """The next operation of the run."""

    def after_cut(self, survivors: Iterable[Operation]) -> Tree:
        """What the disk holds when of the waiting operations these survive."""


class HonestCard:
    """See the module.

    Args:
        base: what it held at first, all of it durable.
    """

    def __init__(self, base: Tree) -> None:
        self._durable = base.copy()
        self._waiting: list[Operation] = []

    @property
    def waiting(self) -> Sequence[Operation]:
        """See ``Card``."""
        return self._waiting

    def take(self, operation: Operation) -> None:
        """See ``Card``."""
        if operation.kind not in (Kind.SYNC, Kind.SYNC_DIRECTORY):
            self._waiting.append(operation)
            return
        kept: list[Operation] = []
        for waiting in self._waiting:
            (self._durable.apply if _covered(waiting, operation) else kept.append)(waiting)
        self._waiting = kept

    def after_cut(self, survivors: Iterable[Operation]) -> Tree:
        """See ``Card``."""
        return _with(self._durable, survivors)


class LyingCard:
    """See the module.

    Args:
        base: what it held at first.
        cache: how many operations it holds back, whatever it was asked to sync.
    """

    def __init__(self, base: Tree, cache: int) -> None:
        self._written = base.copy()
        self._cache = cache
        self._waiting: deque[Operation] = deque()

    @property
    def waiting(self) -> Sequence[Operation]:
        """See ``Card``."""
        return list(self._waiting)

    def take(self, operation: Operation) -> None:
        """See ``Card``."""
        if operation.kind in (Kind.SYNC, Kind.SYNC_DIRECTORY):
            return
        self._waiting.append(operation)
        if len(self._waiting) > self._cache:
            self._written.apply(self._waiting.popleft())

    def after_cut(self, survivors: Iterable[Operation]) -> Tree:
        """See ``Card``."""
        return _with(self._written, survivors)


def _covered(waiting: Operation, barrier: Operation) -> bool:
    """Whether a barrier makes an operation durable; a rename counts for where it goes to."""
    if waiting.at is not None:
        return barrier.kind is Kind.SYNC_DIRECTORY and waiting.at.parent == barrier.node
    return barrier.kind is Kind.SYNC and waiting.node == barrier.node


def _with(tree: Tree, operations: Iterable[Operation]) -> Tree:
    changed = tree.copy()
    for operation in operations:
        changed.apply(operation)
    return changed
