"""The words of the data model: what a row can be, how good it is, and what each sensor said."""

from enum import StrEnum


class Kind(StrEnum):
    """What a row of the table tells."""

    SAMPLE = "sample"
    GAP = "gap"
    EVENT = "event"
    TOMBSTONE = "tombstone"


class Quality(StrEnum):
    """Verdict over one sample: VALID has all required sensors ok, INVALID has no sensor value."""

    VALID = "VALID"
    PARTIAL = "PARTIAL"
    INVALID = "INVALID"


class SensorStatus(StrEnum):
    """Why a sensor's values are there, or are NULL, in one sample."""

    OK = "ok"
    WARMING_UP = "warming_up"
    STALE = "stale"
    CRC_ERROR = "crc_error"
    NACK = "nack"
    TIMEOUT = "timeout"
    OUT_OF_RANGE = "out_of_range"
    SATURATED = "saturated"
    STUCK = "stuck"
    ABSENT = "absent"
