"""The numbers of the protocol, in one place; a simulation or a test may use others."""

from dataclasses import dataclass

from shipper.protocol.batch import WIRE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait and how much to have under way; seconds, rows, bytes.

    Attributes:
        batch_rows: rows that make a batch when nothing is behind; also the size of a small batch.
        interval_s: longest wait of a row for its batch to fill.
        batch_bytes_max: greatest body on the wire.
        window_bytes: most spool bytes that are sent and not acknowledged: 1/8 of the spool's cap
            (rule 13).
        poll_s: status cadence while rows are uncommitted.
        poll_idle_s: likewise when none are; a channel lost while idle is found so
            (kafka-connector).
        spacing_s: least time between two requests; the server allows 10 a second and channel.
        stable_s: an uncommitted rest counts as settled when the token stood still so long: more
            than the longest commit seen, 8.84 s (Estuary, 149 commits).
        uncommitted_wait_s: longest wait for that.
        stall_s: no commit for so long while rows are uncommitted: open again.
        stalls_max: after so many in a row, alarm and slow retry.
        tries_max: sends of one batch without a definite answer before an open decides.
        holdoff_s: after a second STALE without an open of ours; doubles, up to ``slow_s``.
        slow_s: longest wait between two tries of anything; a server's wish is cut to it, and gets
            its jitter on top.
        counters_wait_s: committed rows that wait so long for their counters hold new batches back:
            counters that lag longer than batches come never fit a token that moves on. More than
            three times the longest commit seen, and a quarter of ``imbalance_s``: a lag of up to a
            minute and a quarter is over before the alarm.
        imbalance_s: counters that do not fit for so long raise an alarm.
        strikes_max: rows refused one by one, with no sample accepted between, before the table is
            at fault.
        heartbeat_s: an event row after so long without any row: idle channels expire after 30 days.
    """

    batch_rows: int = 10
    interval_s: float = 5.0
    batch_bytes_max: int = 262_144
    window_bytes: int = 67_108_864
    poll_s: float = 1.0
    poll_idle_s: float = 30.0
    spacing_s: float = 0.1
    stable_s: float = 15.0
    uncommitted_wait_s: float = 120.0
    stall_s: float = 120.0
    stalls_max: int = 3
    tries_max: int = 3
    holdoff_s: float = 15.0
    slow_s: float = 900.0
    counters_wait_s: float = 30.0
    imbalance_s: float = 120.0
    strikes_max: int = 10
    heartbeat_s: float = 86_400.0

    def __post_init__(self) -> None:
        if not 0 < self.batch_bytes_max <= WIRE_BYTES_MAX:
            raise ValueError(
                f"batch_bytes_max {self.batch_bytes_max}: expected 1 … {WIRE_BYTES_MAX}"
            )
        if self.batch_rows < 1 or self.tries_max < 1 or self.window_bytes < 1:
            raise ValueError("batch_rows, tries_max and window_bytes are at least 1")
