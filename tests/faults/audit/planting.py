"""Looking at the rows of a table and changing them: for faults that a test plants."""

from tests.faults.audit.table import Answer, Row


def epochs(rows: list[Row]) -> list[str]:
    """The epochs in the order of their first row."""
    return list(dict.fromkeys(row["epoch"] for row in rows))


def of_epoch(rows: list[Row], number: int) -> list[Row]:
    """The rows of one epoch, by seq."""
    name = epochs(rows)[number]
    return sorted((r for r in rows if r["epoch"] == name), key=lambda row: int(row["seq"]))


def without(rows: list[Row], gone: list[Row]) -> list[Row]:
    """The table without some rows."""
    keys = {(row["epoch"], row["seq"]) for row in gone}
    return [row for row in rows if (row["epoch"], row["seq"]) not in keys]


def gap(rows: list[Row], reason: str) -> Row:
    """The first gap row of a reason, to be changed in place."""
    return next(r for r in rows if r["kind"] == "gap" and r["detail"]["reason"] == reason)


def ranges(answer: Answer) -> list[tuple[int | None, int | None]]:
    """First and last seq of the unexplained missing ranges."""
    return [(m.first_seq, m.last_seq) for m in answer.unexplained if m.finding == "missing"]
