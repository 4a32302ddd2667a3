"""How far shipping has come, as a file keeps it: the live stream's, and each job's."""

from dataclasses import dataclass

from common.ship_state import Acknowledgement, Mark


@dataclass(frozen=True, slots=True)
class Progress:
    """How far shipping over one channel has come; one row of ``ship.db``.

    Attributes:
        target: account, pipe and channel that the rest belongs to; ``None``: none was opened yet.
        created_on_ms: when the server made the channel, by its own word.
        acknowledged: the licence to trim.
        exposed: the newest row that may have left the device.
        rows_inserted_base: the channel's count of inserted rows at the acknowledgement.
        rows_error_base: its count of refused rows at the acknowledgement.
        in_doubt: rows up to here may be in the table already: they are flagged.
    """

    target: str | None = None
    created_on_ms: int | None = None
    acknowledged: Acknowledgement | None = None
    exposed: Mark | None = None
    rows_inserted_base: int = 0
    rows_error_base: int = 0
    in_doubt: Mark | None = None
