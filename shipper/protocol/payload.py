"""A stored row becomes a line of NDJSON: deterministic, strict JSON, checked against its CRC.

Columns come from ``common.columns`` in their order; one that is NULL is left out (the server fills
in NULL). A row is dated anew here, and nowhere else, by the write-once offset of its boot (rule 8
of the design): the spool never changes a row. What cannot be sent is replaced by a tombstone of the
same key (rule 16).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from common.columns import COLUMNS, STORED, Place, Scalar, Type
from common.sample import Kind

_quote: Final = json.encoder.encode_basestring_ascii
_VALUES: Final = tuple(c.name for c in STORED if c.name != "seq")
_TAKEN_AT, _SYNCED, _BOOTTIME, _KIND, _DETAIL = (
    _VALUES.index(n) for n in ("taken_at", "clock_synced", "boottime_ns", "kind", "detail")
)
_TAKEN_AT_MAX_US: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the last time that the table's type and our format can tell."""
_TEXTS_MAX: Final = 4096
_DETAIL_MAX: Final = 512


class Origin(Protocol):
    """Where a row comes from; ``common.spool.row.Origin`` is one."""

    @property
    def order(self) -> int:
        """Place of its epoch in the lineage."""

    @property
    def epoch(self) -> str:
        """Its epoch."""

    @property
    def install_id(self) -> str:
        """Its install."""

    @property
    def boot_id(self) -> str:
        """The boot that took it."""

    @property
    def device_id(self) -> str:
        """Name of the device."""

    @property
    def hostname(self) -> str:
        """Host name then."""

    @property
    def collector_version(self) -> str:
        """Version that took it."""


class Row(Protocol):
    """A row as the spool stores it; ``common.spool.row.StoredRow`` is one."""

    @property
    def origin(self) -> Origin:
        """Where it comes from."""

    @property
    def seq(self) -> int:
        """Its place in the install."""

    @property
    def values(self) -> Sequence[Scalar]:
        """Its columns in the order of ``common.columns.STORED`` without seq."""

    @property
    def crc(self) -> int:
        """CRC-32 over epoch, seq and values, made when it was stored."""


class RowCorrupt(ValueError):
    """A row is not what was stored (CRC), or holds what JSON cannot say.

    Only a tombstone can stand for it.
    """


@dataclass(frozen=True, slots=True)
class Sending:
    """What is known of a row only when it is sent.

    Attributes:
        offset_ns: realtime minus boottime of the row's boot; ``None``: its clock was never
            synchronised.
        in_doubt: whether an earlier copy of it may be in the table.
    """

    offset_ns: int | None = None
    in_doubt: bool = False


def _timestamp(value: Scalar) -> str:
    """µs since 1970 as ISO 8601 UTC with six digits."""
    if not isinstance(value, int) or not 0 <= value <= _TAKEN_AT_MAX_US:
        raise RowCorrupt(f"taken_at {value!r}: expected 0 … {_TAKEN_AT_MAX_US} µs since 1970")
    seconds, micros = divmod(value, 1_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC)
    return f'"{stamp:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"'


def _boolean(value: Scalar) -> str:
    return "true" if value else "false"


def _number(value: Scalar) -> str:
    """A number; NaN and infinity are no JSON (RFC 8259): the whole request would be refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowCorrupt(f"{value!r} where a number should be")
    if value - value != 0:
        raise RowCorrupt(f"{value!r} is not a finite number")
    return repr(value)


def _text(value: Scalar) -> str:
    if not isinstance(value, str):
        raise RowCorrupt(f"{value!r} where a text should be")
    return _quote(value)


class RowEncoder:
    """Encodes rows; remembers the JSON texts it has seen, since sensor states repeat for days.

    Args:
        crc: the check sum of (epoch, seq, values), ``common.spool.row.row_crc``; ``None``: rows are
            not checked (only what was checked before may be encoded so).
    """

    def __init__(self, crc: Callable[[str, int, tuple[Scalar, ...]], int] | None) -> None:
        self._crc = crc
        self._texts: dict[str, str] = {}
        self._heads: dict[Origin, tuple[str, str]] = {}
        encoders: dict[Type, Callable[[Scalar], str]] = {
            Type.TEXT: _text,
            Type.INTEGER: _number,
            Type.REAL: _number,
            Type.BOOLEAN: _boolean,
            Type.JSON: self._json,
            Type.TIMESTAMP: _timestamp,
        }
        self._columns = tuple(
            (f',"{c.name}":', encoders[c.type]) for c in STORED if c.name != "seq"
        )

    def encode(self, row: Row, sending: Sending) -> bytes:
        """One line, its newline included.

        Raises:
            RowCorrupt: see the class; nothing of the row may be sent.
        """
        values = tuple(row.values)
        origin = row.origin
        if self._crc is not None and self._crc(origin.epoch, row.seq, values) != row.crc:
            raise RowCorrupt(
                f"row {row.seq} of epoch {origin.epoch}: CRC differs from the stored one"
            )
        if len(values) != len(self._columns):
            raise RowCorrupt(f"row {row.seq}: {len(values)} values, expected {len(self._columns)}")
        if sending.offset_ns is not None and not values[_SYNCED]:
            values = _redated(values, sending.offset_ns)
        return self._line(origin, row.seq, values, in_doubt=sending.in_doubt)

    def tombstone(self, row: Row, reason: str, sending: Sending) -> bytes:
        """The line that stands for a row which cannot be sent.

        It has the key of the row, its time if there is one, and no values.
        """
        time_us, boottime = row.values[_TAKEN_AT], row.values[_BOOTTIME]
        usable = isinstance(time_us, int) and 0 <= time_us <= _TAKEN_AT_MAX_US
        values: list[Scalar] = [None] * len(self._columns)
        values[_TAKEN_AT] = time_us if usable else 0
        values[_SYNCED] = int(bool(row.values[_SYNCED]) and usable)
        values[_BOOTTIME] = boottime if isinstance(boottime, int) and boottime >= 0 else 0
        values[_KIND] = Kind.TOMBSTONE.value
        values[_DETAIL] = json.dumps({"reason": reason[:_DETAIL_MAX]}, separators=(",", ":"))
        if sending.offset_ns is not None and not values[_SYNCED]:
            values = list(_redated(tuple(values), sending.offset_ns))
        return self._line(row.origin, row.seq, tuple(values), in_doubt=sending.in_doubt)

    def _line(
        self, origin: Origin, seq: int, values: tuple[Scalar, ...], *, in_doubt: bool
    ) -> bytes:
        head, tail = self._heads.get(origin) or self._remember(origin)
        try:
            body = "".join(
                [
                    name + encode(value)
                    for (name, encode), value in zip(self._columns, values, strict=True)
                    if value is not None
                ]
            )
        except (OverflowError, ValueError) as error:
            raise RowCorrupt(f"row {seq} of epoch {origin.epoch}: {error}") from error
        flag = "true" if in_doubt else "false"
        return f'{head}{seq}{body},"in_doubt":{flag}{tail}'.encode()

    def _remember(self, origin: Origin) -> tuple[str, str]:
        """What all rows of an origin begin and end with; one origin at a time is in use."""
        names = [c.name for c in COLUMNS if c.place is Place.ORIGIN]
        parts = {name: f'"{name}":{_quote(str(getattr(origin, name)))}' for name in names}
        head = "{" + ",".join(parts.values()) + ',"seq":'
        self._heads = {origin: (head, "}\n")}
        return self._heads[origin]

    def _json(self, value: Scalar) -> str:
        """A JSON text, made compact and checked to be strict."""
        text = str(value)
        known = self._texts.get(text)
        if known is None:
            parsed = json.loads(text, parse_constant=_no_constant)
            known = json.dumps(parsed, separators=(",", ":"), allow_nan=False)
            if len(self._texts) >= _TEXTS_MAX:
                self._texts.clear()
            self._texts[text] = known
        return known


def _no_constant(name: str) -> None:
    raise RowCorrupt(f"{name} is not JSON")


def _redated(values: tuple[Scalar, ...], offset_ns: int) -> tuple[Scalar, ...]:
    """The same row, dated by its boottime and the offset of its boot.

    Its time is now as good as synchronised.
    """
    boottime = values[_BOOTTIME]
    if not isinstance(boottime, int):
        return values
    changed = list(values)
    changed[_TAKEN_AT] = (boottime + offset_ns) // 1000
    changed[_SYNCED] = 1
    return tuple(changed)


def is_sample(row: Row) -> bool:
    """Whether the row is a measurement (not a gap, an event or a tombstone)."""
    return row.values[_KIND] == Kind.SAMPLE.value


def waits_for_clock(row: Row) -> bool:
    """Whether the row was taken before its boot's clock was synchronised."""
    return not row.values[_SYNCED]
