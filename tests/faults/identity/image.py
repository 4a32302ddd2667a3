"""What a card holds of a spool directory at one moment, to be put back later or elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SPOOL: Final = "spool.db"
SHIP: Final = "ship.db"
BOTH: Final = (SPOOL, SHIP)
_NEVER: Final = (".lock", "-shm")
"""Locks end with their process, and SQLite makes the shared memory anew after a cut."""


@dataclass(frozen=True, slots=True)
class Image:
    """The files of a directory by relative path.

    With ``synchronous=FULL`` all that was committed is in the files, so an image taken between two
    transactions is what a power cut at that moment would leave.
    """

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read a directory, also while it is in use."""
        found = (path for path in sorted(directory.rglob("*")) if path.is_file())
        return cls(
            {
                str(path.relative_to(directory)): path.read_bytes()
                for path in found
                if not path.name.endswith(_NEVER)
            }
        )

    def without(self, *names: str) -> "Image":
        """The image with some files left out."""
        return Image({name: data for name, data in self.files.items() if name not in names})

    def named(self, name: str, data: bytes) -> "Image":
        """The image with one file added or replaced."""
        return Image({**self.files, name: data})

    def put(self, directory: Path, databases: tuple[str, ...], *, in_place: bool) -> None:
        """Put databases back, each with its own write-ahead log or without any.

        Args:
            directory: where.
            databases: ``SPOOL``, ``SHIP`` or both; what else the directory holds stays.
            in_place: write into the files that are there, as ``cp`` does; else replace them by new
                ones, as ``mv`` and ``rsync`` do.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for database in databases:
            for name in (f"{database}-shm", f"{database}-wal"):
                (directory / name).unlink(missing_ok=True)
            for name in (database, f"{database}-wal"):
                _write(directory / name, self.files.get(name), in_place=in_place)


def _write(path: Path, data: bytes | None, *, in_place: bool) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    elif in_place and path.exists():
        path.write_bytes(data)
    else:
        fresh = path.with_name(path.name + ".restored")
        fresh.write_bytes(data)
        fresh.replace(path)
