"""One reading of everything that the collector counts, for the metrics and the status line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SensorCounts:
    """One chip.

    Attributes:
        results: turns that gave a measurement or a fault, by kind.
        last_success: wall clock of the newest measurement, seconds since 1970; ``None``: none yet.
        resets: sensor resets by the recovery.
    """

    results: dict[str, int]
    last_success: float | None
    resets: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The whole collector.

    Attributes:
        ticks: rows of kind sample.
        rows_stored: rows stored since the start.
        rows_waiting: rows in memory.
        missed_ticks: ticks missed while running.
        memory_dropped: rows given up because memory was full.
        store_failures: attempts to store that failed.
        bus_reopens: how often the bus was reopened because it timed out.
        clock_steps: steps of the wall clock.
        clock_synchronized: whether the kernel holds the clock to be synchronised.
        spool_rows: rows in the spool.
        spool_bytes: bytes in the spool's directory that count towards its cap.
        spool_dropped: rows thinned or dropped since the start, by reason.
        sensors: by chip.
    """

    ticks: int
    rows_stored: int
    rows_waiting: int
    missed_ticks: int
    memory_dropped: int
    store_failures: int
    bus_reopens: int
    clock_steps: int
    clock_synchronized: bool
    spool_rows: int
    spool_bytes: int
    spool_dropped: dict[str, int]
    sensors: dict[str, SensorCounts]
