"""The table of the emulator in DuckDB, and the audit's SQL translated for it.

``deploy/snowflake/audit.sql`` is written for Snowflake. sqlglot translates it; two things are done
by hand: the table's name is put where ``IDENTIFIER($thermal_table)`` stands, and a VARIANT taken as
text is taken without quotes, as Snowflake does. It has not run on Snowflake.
"""

import functools
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlglot
from sqlglot import exp

SQL_FILE: Final = Path(__file__).resolve().parents[3] / "deploy/snowflake/audit.sql"
_TABLE: Final = "readings_table"
_COLUMNS: Final = ("install_id", "epoch", "seq", "boot_id", "kind", "in_doubt", "detail")

Row = dict[str, Any]
"""A committed row as the server got it: column and value."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the audit's answer; its columns by name."""

    part: int
    level: str
    finding: str
    install_id: str | None
    epoch: str | None
    first_seq: int | None
    last_seq: int | None
    n: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Answer:
    """All lines, the verdict last."""

    lines: tuple[Line, ...]

    @property
    def verdict(self) -> Line:
        """The last line."""
        return self.lines[-1]

    @property
    def clean(self) -> bool:
        """Whether nothing is unexplained."""
        return not self.unexplained

    @property
    def unexplained(self) -> list[Line]:
        """What somebody must look at, without the verdict."""
        return [line for line in self.lines if line.level == "unexplained"]

    def of(self, finding: str) -> list[Line]:
        """The lines of one finding."""
        return [line for line in self.lines if line.finding == finding]

    def number(self, finding: str) -> int:
        """The number of a finding, over all its lines."""
        return sum(line.n or 0 for line in self.of(finding))


@functools.cache
def statements() -> tuple[str, ...]:
    """The statements of the file in Snowflake's dialect, comments left out."""
    parsed = sqlglot.parse(SQL_FILE.read_text(), read="snowflake")
    return tuple(found.sql("snowflake", comments=False) for found in parsed if found is not None)


@functools.cache
def translated() -> str:
    """The query for DuckDB."""
    query = sqlglot.parse_one(statements()[-1], read="snowflake").transform(_adapted)
    return query.sql("duckdb")


def audit(rows: Iterable[Mapping[str, Any]]) -> Answer:
    """Run the query over rows."""
    with closing(duckdb.connect()) as connection:
        connection.execute(
            f"CREATE TABLE {_TABLE} (install_id VARCHAR, epoch VARCHAR, seq BIGINT, "
            "boot_id VARCHAR, kind VARCHAR, in_doubt BOOLEAN, detail JSON)"
        )
        values = [tuple(_value(row.get(name)) for name in _COLUMNS) for row in rows]
        _insert(connection, values)
        found = connection.execute(translated()).fetchall()
    return Answer(tuple(Line(*(_whole(value) for value in line)) for line in found))


def _insert(connection: duckdb.DuckDBPyConnection, values: list[tuple[Any, ...]]) -> None:
    """Through one list parameter: DuckDB takes rows one by one far more slowly."""
    if not values:
        return
    text = json.dumps([dict(zip(_COLUMNS, value, strict=True)) for value in values])
    shape = json.dumps([{
        "install_id": "VARCHAR", "epoch": "VARCHAR", "seq": "BIGINT", "boot_id": "VARCHAR",
        "kind": "VARCHAR", "in_doubt": "BOOLEAN", "detail": "VARCHAR",
    }])
    connection.execute(
        f"INSERT INTO {_TABLE} SELECT r.install_id, r.epoch, r.seq, r.boot_id, r.kind, "
        "r.in_doubt, r.detail::JSON FROM (SELECT unnest(from_json(?::JSON, ?)) AS r)",
        [text, shape],
    )


def _adapted(node: exp.Expression) -> exp.Expression:
    """What the translation does not know."""
    if isinstance(node, exp.Table) and isinstance(node.this, exp.DynamicIdentifier):
        return exp.to_table(_TABLE)
    if (
        isinstance(node, exp.Cast)
        and isinstance(node.this, exp.JSONExtract)
        and node.to.is_type(*exp.DataType.TEXT_TYPES)
    ):
        path = node.this
        return exp.JSONExtractScalar(this=path.this, expression=path.expression)
    return node


def _value(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _whole(value: Any) -> Any:
    """Numbers of any type as int."""
    return value if value is None or isinstance(value, str) else int(value)
