"""A stored row becomes a line of NDJSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.columns import COLUMNS, STORED, Type
from common.spool.row import INDEX, Origin, StoredRow, new_row, row_crc
from shipper.protocol.payload import RowCorrupt, RowEncoder, Sending, is_sample, waits_for_clock

ORIGIN = Origin(1, 1, "9f3c" * 4, "A" * 16, "b" * 32, 'dev"1', "höst", "0.1.0")
FULL: dict[str, Any] = {
    "taken_at": 1_700_000_000_000_001,
    "clock_synced": True,
    "boottime_ns": 5,
    "kind": "sample",
    "quality": "VALID",
    "sensor_status": '{"scd4x": "ok"}',
    "detail": "[1, 2.5]",
} | {c.name: 450.5 for c in STORED if c.type is Type.REAL}


def row(seq: int = 7, **columns: Any) -> StoredRow:
    """A stored row with these columns besides the required ones."""
    required = {k: FULL[k] for k in ("taken_at", "clock_synced", "boottime_ns", "kind")}
    values = new_row(required | columns)
    return StoredRow(ORIGIN, seq, values, row_crc(ORIGIN.epoch, seq, values))


def spoilt(stored: StoredRow, **columns: object) -> StoredRow:
    """The row with values that nobody checked, but a check sum that fits."""
    values = list(stored.values)
    for name, value in columns.items():
        values[INDEX[name]] = value  # type: ignore[call-overload]
    return stored._replace(
        values=tuple(values), crc=row_crc(ORIGIN.epoch, stored.seq, tuple(values))
    )


def encode(stored: StoredRow, sending: Sending = Sending()) -> dict[str, Any]:  # noqa: B008 - frozen
    """The line, parsed."""
    line = RowEncoder(row_crc).encode(stored, sending)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)  # type: ignore[no-any-return]


def test_a_full_row_has_every_column_of_the_declaration() -> None:
    """Names are those of the declaration; flags are booleans, JSON is JSON, times are ISO."""
    found = encode(row(**FULL))
    assert set(found) == {c.name for c in COLUMNS}
    assert (found["seq"], found["device_id"], found["hostname"]) == (7, 'dev"1', "höst")
    assert found["taken_at"] == "2023-11-14T22:13:20.000001Z"
    assert (found["clock_synced"], found["in_doubt"]) == (True, False)
    assert (found["sensor_status"], found["detail"]) == ({"scd4x": "ok"}, [1, 2.5])
    assert found["scd4x_co2_ppm"] == 450.5


def test_null_is_left_out_and_never_zero() -> None:
    """What was not measured is not in the line at all."""
    found = encode(row())
    assert "scd4x_co2_ppm" not in found
    assert 0 not in [v for k, v in found.items() if k.endswith("_ppm")]


def test_the_same_row_gives_the_same_bytes() -> None:
    """Encoding depends on the row and on nothing that came before it."""
    encoder = RowEncoder(row_crc)
    first = encoder.encode(row(**FULL), Sending())
    encoder.encode(row(seq=8), Sending(in_doubt=True))
    assert encoder.encode(row(**FULL), Sending()) == first
    assert RowEncoder(row_crc).encode(row(**FULL), Sending()) == first


def test_a_doubtful_row_is_flagged() -> None:
    """in_doubt is known only when the row is sent."""
    assert encode(row(), Sending(in_doubt=True))["in_doubt"] is True


def test_a_flipped_bit_is_found() -> None:
    """A value, or the key, that does not fit its check sum is not sent."""
    stored = row(**FULL)
    for damaged in (stored._replace(seq=8), stored._replace(crc=stored.crc ^ 1)):
        with pytest.raises(RowCorrupt, match="CRC"):
            RowEncoder(row_crc).encode(damaged, Sending())
    assert RowEncoder(None).encode(stored._replace(crc=0), Sending())


@pytest.mark.parametrize(
    "columns",
    [
        {"scd4x_co2_ppm": math.nan},
        {"scd4x_co2_ppm": math.inf},
        {"scd4x_co2_ppm": "450"},
        {"taken_at": -1},
        {"taken_at": 10**18},
        {"taken_at": "now"},
        {"quality": 5},
        {"detail": "{"},
        {"detail": "NaN"},
        {"sensor_status": '{"a":Infinity}'},
    ],
)
def test_what_json_cannot_say_is_corrupt(columns: dict[str, object]) -> None:
    """NaN, infinities, texts that are no JSON, impossible times are refused, not bent."""
    with pytest.raises(RowCorrupt):
        RowEncoder(None).encode(spoilt(row(), **columns), Sending())


def test_a_row_of_another_width_is_corrupt() -> None:
    """A row with a column too many or too few cannot be named."""
    with pytest.raises(RowCorrupt):
        RowEncoder(None).encode(row()._replace(values=(1, 2)), Sending())


def test_an_unsynchronised_row_is_dated_by_the_offset_of_its_boot() -> None:
    """Rule 8: boottime plus the offset of the boot; rows with a good clock keep their time."""
    early = row(taken_at=5, clock_synced=False, boottime_ns=3_000_001_500)
    dated = encode(early, Sending(offset_ns=1_700_000_000_000_000_000))
    assert (dated["taken_at"], dated["clock_synced"]) == ("2023-11-14T22:13:23.000001Z", True)
    kept = encode(row(), Sending(offset_ns=99))
    assert kept["taken_at"] == "2023-11-14T22:13:20.000001Z"
    undated = encode(early)
    assert (undated["taken_at"], undated["clock_synced"]) == ("1970-01-01T00:00:00.000005Z", False)
    assert early.values[INDEX["taken_at"]] == 5
    assert (waits_for_clock(early), waits_for_clock(row())) == (True, False)


def test_a_tombstone_keeps_the_key_and_tells_nothing_else() -> None:
    """Rule 16: same key and time, no values, kind and reason."""
    line = RowEncoder(row_crc).tombstone(row(**FULL), "refused", Sending(in_doubt=True))
    found = json.loads(line)
    assert (found["kind"], found["seq"], found["epoch"]) == ("tombstone", 7, ORIGIN.epoch)
    assert (found["detail"], found["in_doubt"]) == ({"reason": "refused"}, True)
    assert found["taken_at"] == "2023-11-14T22:13:20.000001Z"
    assert "scd4x_co2_ppm" not in found
    assert "quality" not in found
    assert is_sample(row())


def test_a_tombstone_can_stand_for_any_rubbish() -> None:
    """A row whose every value is damaged still gets its tombstone, undated."""
    rubbish = row()._replace(values=("x",) * len(row().values))
    found = json.loads(RowEncoder(row_crc).tombstone(rubbish, "corrupt", Sending()))
    assert (found["taken_at"], found["clock_synced"]) == ("1970-01-01T00:00:00.000000Z", False)
    assert found["boottime_ns"] == 0


@given(
    st.dictionaries(
        st.sampled_from([c.name for c in STORED if c.type is Type.REAL]),
        st.floats(allow_nan=False, allow_infinity=False),
        max_size=5,
    ),
    st.text(max_size=30),
    st.integers(0, 4_000_000_000_000_000),
)
def test_values_survive_the_line(reals: dict[str, Any], text: str, taken_at: int) -> None:
    """Any finite number and any text of the spool comes out of the line as it went in."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    stored = row(**reals, quality=text, taken_at=taken_at)
    found = encode(stored)
    assert found["quality"] == text
    assert {k: v for k, v in found.items() if k in reals} == {k: v + 0.0 for k, v in reals.items()}
