"""What a simulated history has to live through."""

from dataclasses import dataclass, field

from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.rows import RowRule
from tests.model.simulation_server import Line


@dataclass(slots=True)
class Weather:
    """Chances per step, and what the server does to rows.

    Attributes:
        steps: length of the bad time.
        store: rows are stored.
        collect: the collector copies, honours, trims and thins for a while.
        interleave: it does so between two calls of the shipper, in one step; per call.
        late_collector: it is not started by a boot, only later.
        kill: the shipper will die within its next port calls.
        calls: at most so many calls.
        kill_collector: the collector dies.
        cut: a power cut.
        restore: an older spool is put back under the running shipper.
        lie: at a cut each file may lose up to so many of its last writes.
        card_fails: an access to a file by the shipper fails; per call.
        rows_max: more rows than this are thinned.
        damage: the spool is found damaged.
        lose_spool: it is gone after a cut.
        lose_ledger: ``ship.db`` is gone or damaged after a cut.
        swap_board: the card moves to another board.
        clone: a copy of the card starts in another device.
        unsynced: a boot begins without a synchronised clock.
        clock: the clock is set right, or steps.
        invalidate: the server invalidates the channel.
        lose: the server forgets the channel (table replaced, expired).
        steal: somebody else opens it.
        rewind: somebody else opens it and sets its token back.
        stick: commits get stuck, or go on again.
        pause: time passes.
        body_max: longest body that gets through the door.
        door: the door becomes wider, or narrower again.
        poison: share of rows that the door or the table refuses.
        idles: the end is followed by forty days without a sample.
    """

    climate: str
    steps: int = 50
    line: Line = field(default_factory=Line)
    store: float = 0.35
    collect: float = 0.25
    interleave: float = 0.0
    late_collector: float = 0.0
    kill: float = 0.1
    calls: int = 24
    kill_collector: float = 0.02
    cut: float = 0.04
    restore: float = 0.0
    lie: int = 0
    card_fails: float = 0.0
    rows_max: int = 1 << 30
    damage: float = 0.0
    lose_spool: float = 0.0
    lose_ledger: float = 0.0
    swap_board: float = 0.0
    clone: float = 0.0
    unsynced: float = 0.0
    clock: float = 0.0
    invalidate: float = 0.0
    lose: float = 0.0
    steal: float = 0.0
    rewind: float = 0.0
    body_max: int = 1 << 22
    door: float = 0.0
    stick: float = 0.0
    pause: float = 0.15
    poison: float = 0.0
    idles: bool = False
    commit_delay_s: float = 5.0
    commit_jitter_s: float = 3.0
    counters_lag_s: float = 0.0
    row_rules: tuple[RowRule, ...] = ()
    refuse_rules: tuple[RowRule, ...] = ()

    def knobs(self) -> Knobs:
        """How the server behaves."""
        return Knobs(
            commit_delay_s=self.commit_delay_s,
            commit_jitter_s=self.commit_jitter_s,
            counters_lag_s=self.counters_lag_s,
            parses_rows=bool(self.row_rules),
            row_rules=self.row_rules,
            refuse_rules=self.refuse_rules,
        )
