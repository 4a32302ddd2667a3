"""The one declaration of the row: every column with unit, type, range and place.

From it come the spool's schema, the check of a row before it is stored, the NDJSON row on the wire,
the table's DDL and the documentation; a test compares all five.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | None
"""What one column of one row can hold; ``None`` means that nothing was measured."""


class Place(StrEnum):
    """Where the spool keeps a column."""

    READING = "reading"
    """In the row itself."""
    ORIGIN = "origin"
    """Once for all rows of one epoch, device name, host name and collector version."""
    SENDING = "sending"
    """Nowhere: the shipper knows it only when it encodes the row."""


class Type(StrEnum):
    """The type of a column, by its name in the spool's SQLite and in Snowflake."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    JSON = "json"
    TIMESTAMP = "timestamp"

    @property
    def sqlite(self) -> str:
        """SQLite type; times are integers (µs since 1970 UTC), JSON is text."""
        return {"text": "TEXT", "real": "REAL", "json": "TEXT"}.get(self, "INTEGER")

    @property
    def snowflake(self) -> str:
        """Snowflake type."""
        return {
            "text": "VARCHAR",
            "integer": "NUMBER(38,0)",
            "real": "FLOAT",
            "boolean": "BOOLEAN",
            "json": "VARIANT",
            "timestamp": "TIMESTAMP_NTZ(6)",
        }[self]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the row.

    Attributes:
        name: name on the wire and in the table; quantities end with their unit.
        type: see ``Type``.
        place: see ``Place``.
        comment: what it means, and what NULL means.
        low: least value that is stored, in the unit of the name; ``None``: no bound.
        high: greatest value that is stored.
        required: never NULL.
        sensor: the chip that measures it; ``None``: not a chip's.
    """

    name: str
    type: Type
    place: Place
    comment: str
    low: float | None = None
    high: float | None = None
    required: bool = False
    sensor: str | None = None


_READING, _ORIGIN, _SENDING = Place.READING, Place.ORIGIN, Place.SENDING

COLUMNS: Final[tuple[Column, ...]] = (
    Column("device_id", Type.TEXT, _ORIGIN, "Name of the device in the settings.", required=True),
    Column("hostname", Type.TEXT, _ORIGIN, "Host name when the row was taken.", required=True),
    Column("install_id", Type.TEXT, _ORIGIN, "Life of one spool, 16 hex digits.", required=True),
    Column("epoch", Type.TEXT, _ORIGIN, "Stretch of rows of one boot, 16 hex.", required=True),
    Column("seq", Type.INTEGER, _READING, "Position in the install, from 1.", low=1, required=True),
    Column("boot_id", Type.TEXT, _ORIGIN, "Kernel's id of the boot, 32 hex digits.", required=True),
    Column("taken_at", Type.TIMESTAMP, _READING, "When it was taken, UTC, µs.", required=True),
    Column(
        "clock_synced", Type.BOOLEAN, _READING,
        "Whether taken_at comes from a synchronised clock, if need be by later re-dating.",
        required=True,
    ),
    Column(
        "boottime_ns", Type.INTEGER, _READING, "Nanoseconds since boot, suspend included.",
        low=0, required=True,
    ),
    Column("scd4x_co2_ppm", Type.REAL, _READING, "CO2.", 1, 40_000, sensor="scd4x"),
    Column(
        "scd4x_temperature_c", Type.REAL, _READING, "Air at the SCD4x.", -40, 120, sensor="scd4x",
    ),
    Column("scd4x_humidity_percent", Type.REAL, _READING, "Relative.", 0, 100, sensor="scd4x"),
    Column(
        "icp10125_pressure_pa", Type.REAL, _READING, "Air pressure.", 25_000, 115_000,
        sensor="icp10125",
    ),
    Column(
        "icp10125_temperature_c", Type.REAL, _READING, "Air at the ICP.", -40, 85,
        sensor="icp10125",
    ),
    Column(
        "sgp30_eco2_ppm", Type.REAL, _READING, "CO2 equivalent, inferred.", 400, 60_000,
        sensor="sgp30",
    ),
    Column("sgp30_tvoc_ppb", Type.REAL, _READING, "Volatile organics.", 0, 60_000, sensor="sgp30"),
    Column("cpu_temperature_c", Type.REAL, _READING, "Processor.", -40, 150),
    Column(
        "cpu_percent", Type.REAL, _READING, "Busy share of all cores since the last row.", 0, 100,
    ),
    Column("memory_percent", Type.REAL, _READING, "Share of memory that is not available.", 0, 100),
    Column(
        "disk_free_mb", Type.REAL, _READING, "Free for the service beside the spool, 10^6 B.", 0,
    ),
    Column("quality", Type.TEXT, _READING, "VALID, PARTIAL or INVALID; NULL unless a sample."),
    Column("sensor_status", Type.JSON, _READING, "Status by sensor; NULL unless a sample."),
    Column("kind", Type.TEXT, _READING, "sample, gap, event or tombstone.", required=True),
    Column(
        "in_doubt", Type.BOOLEAN, _SENDING,
        "Whether an earlier copy may be in the table: the channel was lost while it was exposed.",
        required=True,
    ),
    Column("detail", Type.JSON, _READING, "What a gap, event or tombstone tells; NULL in samples."),
    Column("collector_version", Type.TEXT, _ORIGIN, "Version that took the row.", required=True),
)

STORED: Final[tuple[Column, ...]] = tuple(c for c in COLUMNS if c.place is Place.READING)
"""The columns that the spool keeps in each row, in this order."""

BY_NAME: Final[dict[str, Column]] = {c.name: c for c in COLUMNS}
