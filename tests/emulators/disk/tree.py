"""A directory tree in memory, changed by operations: the live disk, and every image of a crash."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.emulators.disk.operations import ROOT, Kind, Name, Operation


@dataclass(slots=True)
class Node:
    """A file or a directory.

    Attributes:
        entries: names and the nodes they name; ``None``: it is a file.
        data: bytes of a file.
    """

    entries: dict[str, int] | None = None
    data: bytearray = field(default_factory=bytearray)


class Tree:
    """Nodes by number; number 1 is the root.

    An operation on a node that no operation has made makes it: on a disk that lost the name of a
    file, its bytes have still been written.
    """

    def __init__(self, first_free: int = ROOT + 1) -> None:
        self.nodes: dict[int, Node] = {ROOT: Node({})}
        self._numbers = itertools.count(first_free)

    def fresh(self) -> int:
        """A number that no node has."""
        return next(self._numbers)

    def copy(self) -> "Tree":
        """Another tree with the same nodes, to be changed on its own."""
        other = Tree()
        other.nodes = {
            number: Node(None if n.entries is None else dict(n.entries), bytearray(n.data))
            for number, n in self.nodes.items()
        }
        return other

    def apply(self, operation: Operation) -> None:
        """Change the tree; barriers change nothing."""
        match operation.kind:
            case Kind.WRITE:
                data, end = self._file(operation.node).data, operation.offset + len(operation.data)
                if len(data) < end:
                    data.extend(bytes(end - len(data)))
                data[operation.offset : end] = operation.data
            case Kind.TRUNCATE:
                data = self._file(operation.node).data
                del data[operation.offset :]
                data.extend(bytes(operation.offset - len(data)))
            case Kind.LINK | Kind.MKDIR:
                if operation.kind is Kind.MKDIR:
                    self.nodes.setdefault(operation.node, Node({}))
                self._name(operation.at, operation.node)
            case Kind.UNLINK:
                self._forget(operation.at, operation.node)
            case Kind.RENAME:
                self._forget(operation.before, operation.node)
                self._name(operation.at, operation.node)

    def names_of(self, number: int) -> int:
        """How many names a node has."""
        return sum(
            list(node.entries.values()).count(number)
            for node in self.nodes.values()
            if node.entries is not None
        )

    def files(self) -> Iterator[tuple[Path, Node]]:
        """Everything that can be reached from the root, by its path; directories come first."""

        def walk(path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
            for name, number in (node.entries or {}).items():
                found = self.nodes.setdefault(number, Node())
                yield path / name, found
                yield from walk(path / name, found)

        return walk(Path(), self.nodes[ROOT])

    def export(self, directory: Path) -> None:
        """Write the tree into an empty directory; several names of one file stay one file."""
        first: dict[int, Path] = {}
        for path, node in self.files():
            place = directory / path
            if node.entries is not None:
                place.mkdir()
            elif id(node) in first:
                place.hardlink_to(first[id(node)])
            else:
                place.write_bytes(node.data)
                first[id(node)] = place

    @staticmethod
    def load(directory: Path, first_free: int = ROOT + 1) -> "Tree":
        """The tree that a directory holds.

        Args:
            directory: which.
            first_free: its nodes get numbers from here on.
        """
        tree, known = Tree(first_free), dict[int, int]()

        def walk(place: Path, parent: int) -> None:
            for entry in sorted(place.iterdir()):
                inode = entry.stat().st_ino
                number = known.get(inode) or tree.fresh()
                at = Name(parent, entry.name)
                if entry.is_dir():
                    tree.apply(Operation(Kind.MKDIR, number, at))
                    walk(entry, number)
                else:
                    known[inode] = number
                    tree.nodes[number] = Node(data=bytearray(entry.read_bytes()))
                    tree.apply(Operation(Kind.LINK, number, at))

        walk(directory, ROOT)
        return tree

    def _file(self, number: int) -> Node:
        return self.nodes.setdefault(number, Node())

    def _name(self, at: Name | None, number: int) -> None:
        assert at is not None
        self.nodes.setdefault(number, Node())
        entries = self.nodes.setdefault(at.parent, Node({})).entries
        if entries is not None:
            entries[at.name] = number

    def _forget(self, at: Name | None, number: int) -> None:
        assert at is not None
        entries = self.nodes.setdefault(at.parent, Node({})).entries
        if entries is not None and entries.get(at.name) == number:
            del entries[at.name]
