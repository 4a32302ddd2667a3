"""What is stored comes back the same, and a flipped bit is seen."""

import math
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.columns import COLUMNS, STORED, Scalar, Type
from common.spool.migrate import migrate
from common.spool.row import INDEX, VALUES, canonical, new_row, row_crc
from common.spool.schema import INSERT_ROW, SELECT_AFTER
from tests.tools.spools import sample

EPOCH = "9f3c00000000e1aa"

_BY_TYPE: dict[str, st.SearchStrategy[Scalar]] = {
    "REAL": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000),
    "INTEGER": st.integers(-(1 << 63) + 1, (1 << 63) - 1),
    "TEXT": st.text(st.characters(codec="utf-8"), max_size=20),
}


def _any_row() -> st.SearchStrategy[tuple[Scalar, ...]]:
    """Any values that the columns can hold."""
    columns = []
    for column in VALUES:
        strategy = _BY_TYPE[column.type.sqlite]
        columns.append(strategy if column.required else strategy | st.none())
    return st.tuples(*columns)


@given(_any_row())
def test_any_row_comes_back_from_sqlite_with_a_fitting_checksum(values: tuple[Scalar, ...]) -> None:
    """Canonical values survive SQLite byte for byte, also -0.0, whole reals and odd texts."""
    row = canonical(values)
    with sqlite3.connect(":memory:") as connection:
        types = ", ".join(f"{c.name} {c.type.sqlite}" for c in VALUES)
        connection.execute(
            f"CREATE TABLE readings (seq INTEGER PRIMARY KEY, origin INTEGER, {types}, crc INTEGER)"
            " STRICT"
        )
        connection.execute(INSERT_ROW, (7, 1, *row, row_crc(EPOCH, 7, row)))
        back = connection.execute(SELECT_AFTER, (6, 1)).fetchone()
    connection.close()
    assert back[2:-1] == row
    assert row_crc(EPOCH, 7, back[2:-1]) == back[-1]


def test_checksum_fails_without_the_canonical_form() -> None:
    """Negative control: -0.0 comes back as 0.0, so a raw value's checksum would not fit."""
    raw = tuple(-0.0 if i == INDEX["cpu_percent"] else v for i, v in enumerate(sample(1)))
    back = tuple(0.0 if i == INDEX["cpu_percent"] else v for i, v in enumerate(raw))
    assert row_crc(EPOCH, 1, raw) != row_crc(EPOCH, 1, back)
    assert row_crc(EPOCH, 1, canonical(raw)) == row_crc(EPOCH, 1, back)


def test_checksum_covers_epoch_seq_and_each_value() -> None:
    """Changing any part of a row changes its checksum."""
    row = sample(1)
    crc = row_crc(EPOCH, 1, row)
    assert crc != row_crc(EPOCH, 2, row)
    assert crc != row_crc(EPOCH[::-1], 1, row)
    for i in range(len(row)):
        changed = (*row[:i], "changed", *row[i + 1 :])
        assert crc != row_crc(EPOCH, 1, changed), VALUES[i].name


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_real_that_is_not_finite_is_refused(bad: float) -> None:
    """SQLite would store NaN as NULL, and JSON has no word for infinity."""
    with pytest.raises(ValueError, match="scd4x_co2_ppm"):
        sample(1, scd4x_co2_ppm=bad)


def test_an_integer_beyond_64_bits_is_refused() -> None:
    """It would fail in SQLite, inside the transaction of good rows."""
    with pytest.raises(ValueError, match="boottime_ns"):
        sample(1, boottime_ns=1 << 63)


def test_a_row_without_what_every_row_has_is_refused() -> None:
    """Required columns are never NULL."""
    with pytest.raises(ValueError, match="kind"):
        sample(1, kind=None)


def test_a_name_that_is_no_stored_column_is_refused() -> None:
    """A typing error in a column's name must not become a silent NULL."""
    with pytest.raises(ValueError, match="co2"):
        new_row({"co2": 400.0})


def test_the_tables_columns_are_the_declared_ones(tmp_path: Path) -> None:
    """The spool's readings are the declaration's columns, in order, with type and NOT NULL."""
    migrate(tmp_path / "spool.db", "spool")
    connection = sqlite3.connect(tmp_path / "spool.db")
    found = connection.execute("PRAGMA table_info(readings)").fetchall()
    connection.close()
    expected = [("seq", "INTEGER"), ("origin", "INTEGER")]
    expected += [(c.name, c.type.sqlite) for c in STORED if c.name != "seq"]
    assert [(r[1], r[2]) for r in found] == [*expected, ("crc", "INTEGER")]
    required = {c.name for c in COLUMNS if c.required}
    assert {r[1] for r in found if r[3]} == {r[1] for r in found if r[1] in required} - {"seq"} | {
        "origin",
        "crc",
    }
    assert Type.BOOLEAN.sqlite == "INTEGER"
