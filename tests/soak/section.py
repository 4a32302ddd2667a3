"""One kind of proof that can go on for hours, in pieces that are the same at every run."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Piece:
    """What one piece of work gave.

    Attributes:
        counts: figures by name; they are summed over all pieces.
        violations: one text for each broken promise, with the command that shows it again.
    """

    counts: Counter[str] = field(default_factory=Counter)
    violations: tuple[str, ...] = ()


Work: TypeAlias = Callable[[int], Piece]
"""Does the n-th piece, n from 0: a few seconds of work, decided by n alone, in any process."""


@dataclass(frozen=True, slots=True)
class Section:
    """A proof and how much of it is wanted.

    Attributes:
        name: one word, also on the command line.
        title: what the table calls it.
        work: see ``Work``; a function of a module, so that other processes can be told of it.
        unit: the figure that is worked towards.
        target: how much of it.
    """

    name: str
    title: str
    work: Work
    unit: str
    target: int
