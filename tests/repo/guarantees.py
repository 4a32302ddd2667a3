"""The table of failures in ``docs/guarantees.md``, read as data."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.repo.source import ROOT, functions

PAGE: Final = ROOT / "docs" / "guarantees.md"
UNTESTED: Final = "not tested: "
"""How a row says that nothing shows it; the reason follows."""

_TEST: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")
_REASON_MIN: Final = 15
_CELLS: Final = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One failure.

    Attributes:
        number: its number.
        failure: what goes wrong.
        lost: what is lost.
        repeated: what arrives twice.
        seen: what the operator sees.
        shown_by: the last cell: tests, or why there is none.
    """

    number: str
    failure: str
    lost: str
    repeated: str
    seen: str
    shown_by: str

    @property
    def tests(self) -> list[tuple[str, str]]:
        """Path and function of each test that it names."""
        return _TEST.findall(self.shown_by)


def rows(page: str) -> list[Row]:
    """All rows of the tables whose first cell is a number."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if cells[0].isdecimal():
            found.append(Row(*cells) if len(cells) == _CELLS else Row(cells[0], *[""] * 5))
    return found


def wrong_with(row: Row) -> list[str]:
    """What is wrong with a row, for a person; empty: nothing."""
    found = []
    if not all((row.failure, row.lost, row.repeated, row.seen, row.shown_by)):
        found.append(f"row {row.number}: not {_CELLS} cells, or one is empty")
    reason = row.shown_by.partition(UNTESTED)[2]
    if not row.tests and len(reason) < _REASON_MIN:
        found.append(f"row {row.number}: names no test and gives no reason: {row.shown_by!r}")
    found += [
        f"row {row.number}: there is no test {path}::{name}"
        for path, name in row.tests
        if name not in tests_in(ROOT / path)
    ]
    return found


@cache
def tests_in(path: Path) -> frozenset[str]:
    """Names of the test functions in a file; none when there is no such file.

    A Hypothesis state machine counts by the name of its test case, ``Test…``.
    """
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    names = {function.name for function in functions(tree) if function.name.startswith("test_")}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {x.id for x in node.targets if isinstance(x, ast.Name) and x.id[:4] == "Test"}
    return frozenset(names)
