"""What changes a disk: operations, in the order in which the kernel asked for them, and their log.

A file is named by its number, never by its path, so that an operation means the same file whatever
was renamed meanwhile. The log is a file; a record is in it before the caller gets its answer, so
its length at any moment is a point of the run: all that had returned by then lies before it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = 1


class Kind(StrEnum):
    """The operations."""

    WRITE = "write"
    TRUNCATE = "truncate"
    """Sets the size; what is added reads as zeros."""
    SYNC = "sync"
    """fsync or fdatasync of a file: its bytes and its size are on the medium, not its name."""
    LINK = "link"
    """A name for a file that is new or has others."""
    MKDIR = "mkdir"
    UNLINK = "unlink"
    """Takes a name away, also that of an empty directory."""
    RENAME = "rename"
    SYNC_DIRECTORY = "sync_directory"
    """fsync of a directory: the names in it are on the medium."""


class Name(NamedTuple):
    """A name in a directory."""

    parent: int
    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One change, or one barrier.

    Attributes:
        kind: which.
        node: the file or directory that it is about.
        at: the name that is made or taken away; for a rename, the new one.
        before: the old name, of a rename.
        offset: first byte written, or the size that is set.
        data: what is written.
    """

    kind: Kind
    node: int
    at: Name | None = None
    before: Name | None = None
    offset: int = 0
    data: bytes = b""

    @property
    def names(self) -> bool:
        """Whether it changes a directory; else the bytes of a file."""
        return self.at is not None


def encode(operation: Operation) -> bytes:
    """One record of a log."""
    told = {
        "kind": operation.kind.value,
        "node": operation.node,
        "at": operation.at,
        "before": operation.before,
        "offset": operation.offset,
        "length": len(operation.data),
    }
    return json.dumps(told).encode() + b"\n" + operation.data


@dataclass(frozen=True, slots=True)
class Record:
    """One operation, and where the log ended once it was in it."""

    operation: Operation
    end: int


def read_log(path: Path) -> Iterator[Record]:
    """The whole records of a log; one that is just being written is left out."""
    log, at = path.read_bytes(), 0
    while (line := log.find(b"\n", at)) >= 0:
        told = json.loads(log[at:line])
        end = line + 1 + told["length"]
        if end > len(log):
            return
        operation = Operation(
            Kind(told["kind"]),
            told["node"],
            Name(*told["at"]) if told["at"] else None,
            Name(*told["before"]) if told["before"] else None,
            told["offset"],
            log[line + 1 : end],
        )
        at = end
        yield Record(operation, end)
