"""What a soak has done so far, kept in a file so that it can be interrupted and go on."""

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

STATE_FILE: Final = "soak.json"


@dataclass(slots=True)
class Done:
    """How far one section has come.

    Attributes:
        pieces: pieces 0 … n-1 are done.
        seconds: how long that took.
        counts: the sums of their figures.
        violations: every broken promise.
    """

    pieces: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class SoakState:
    """All sections' progress in one directory.

    Args:
        directory: made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / STATE_FILE
        self.done: dict[str, Done] = {}
        if self._path.exists():
            for name, told in json.loads(self._path.read_text()).items():
                self.done[name] = Done(**told | {"counts": Counter(told["counts"])})

    def of(self, name: str) -> Done:
        """The progress of one section."""
        return self.done.setdefault(name, Done())

    def save(self) -> None:
        """Write it, whole or not at all."""
        fresh = self._path.with_suffix(".new")
        # Not ``asdict``: it makes a Counter of a Counter's items.
        told = {
            name: {f.name: getattr(done, f.name) for f in fields(done)}
            for name, done in self.done.items()
        }
        fresh.write_text(json.dumps(told))
        fresh.replace(self._path)
