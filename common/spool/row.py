"""One stored row: its origin, its key, its values and the checksum over all of them."""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from common.columns import STORED, Scalar, Type
from common.identity import Position

VALUES: Final = tuple(c for c in STORED if c.name != "seq")
"""The columns of a row's ``values``, in order: STORED without seq."""

INDEX: Final[dict[str, int]] = {c.name: i for i, c in enumerate(VALUES)}
"""Where each column stands in ``values``."""

NewRow: TypeAlias = tuple[Scalar, ...]
"""The values of a row that has no seq yet, as ``new_row`` makes them."""

_REALS: Final = tuple(i for i, c in enumerate(VALUES) if c.type is Type.REAL)
_INTEGERS: Final = tuple(i for i, c in enumerate(VALUES) if c.type.sqlite == "INTEGER")
_REQUIRED: Final = tuple(i for i, c in enumerate(VALUES) if c.required)
_INT64_MAX: Final = (1 << 63) - 1
_encode: Final = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


class Origin(NamedTuple):
    """What all rows of one epoch, device name, host name and collector version share.

    Attributes:
        ord: its number in the spool's ``origins`` table.
        order: the epoch's place in the lineage.
    """

    ord: int
    order: int
    epoch: str
    install_id: str
    boot_id: str
    device_id: str
    hostname: str
    collector_version: str


class StoredRow(NamedTuple):
    """A row as the spool holds it; it is never updated.

    Attributes:
        origin: see ``Origin``.
        seq: its place in the install.
        values: in the order of ``VALUES``.
        crc: the checksum that was stored with it.
    """

    origin: Origin
    seq: int
    values: tuple[Scalar, ...]
    crc: int

    @property
    def position(self) -> Position:
        """Its place in the lineage."""
        return Position(self.origin.order, self.seq)

    @property
    def intact(self) -> bool:
        """Whether the checksum fits; a flipped bit in a value is seen by nothing else."""
        return row_crc(self.origin.epoch, self.seq, self.values) == self.crc


def row_crc(epoch: str, seq: int, values: tuple[Scalar, ...]) -> int:
    """CRC-32 (zlib) over the canonical JSON of ``[epoch, seq, *values]``.

    Values that no spool can hold (a NaN out of a damaged page) give -1, which fits no row.
    """
    try:
        return zlib.crc32(_encode([epoch, seq, *values]).encode("ascii"))
    except (ValueError, TypeError):
        return -1


def new_row(values: Mapping[str, Scalar | bool]) -> NewRow:
    """A row from its columns by name; a column that is not named is NULL.

    Raises:
        ValueError: a name that is no stored column, or a value that ``canonical`` refuses.
    """
    unknown = values.keys() - INDEX.keys()
    if unknown:
        raise ValueError(f"no stored column is called {', '.join(sorted(unknown))}")
    return canonical([values.get(c.name) for c in VALUES])


def canonical(values: Sequence[Scalar]) -> NewRow:
    """The values as SQLite gives them back, so that the checksum fits after reading.

    Reals become float (also -0.0 becomes 0.0, as SQLite stores it), flags become 0 or 1.

    Raises:
        ValueError: the number of columns is wrong, a required one is NULL, a real is not finite, an
            integer does not fit into 64 bits.
    """
    if len(values) != len(VALUES):
        raise ValueError(f"a row has {len(VALUES)} values beside its seq, these are {len(values)}")
    row = list(values)
    for i in _REALS:
        value = row[i]
        if value is not None:
            number = float(value) + 0.0
            if not math.isfinite(number):
                raise ValueError(f"{VALUES[i].name} is {number}; only finite numbers are stored")
            row[i] = number
    for i in _INTEGERS:
        value = row[i]
        if value is not None:
            whole = int(value)
            if not -_INT64_MAX <= whole <= _INT64_MAX:
                raise ValueError(f"{VALUES[i].name} is {whole}; the limit is 2^63 - 1")
            row[i] = whole
    for i in _REQUIRED:
        if row[i] is None:
            raise ValueError(f"{VALUES[i].name} is NULL, but every row has it")
    return tuple(row)
