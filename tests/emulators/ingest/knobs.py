"""How an emulated server behaves, as data, and the count of what happened to it."""

from dataclasses import dataclass, fields
from typing import Final

from tests.emulators.ingest.rows import RowRule

IDLE_EXPIRY_S: Final = 30 * 86_400.0


@dataclass(slots=True)
class Knobs:
    """How this server behaves; each may be changed while it runs.

    Attributes:
        commit_delay_s: from the answer of an append to its commit (live: 5 to 8.8 s, p50 6 s).
        commit_jitter_s: at most this much more, by the model's seed.
        commit_grain_s: commits fall on multiples of this, so that several appends commit at
            once; 0: no grain.
        commits_stuck: nothing commits while this is set.
        counters_lag_s: how long the row counters lag the offset token.
        idle_expiry_s: a channel without ingestion for so long is gone (documented: 30 days).
        older_session_is_noop: an append of an older session gets 200 and the current token
            instead of STALE (a published live test tolerates both); never commits either way.
        parses_rows: whether lines are parsed at all; without, each is a good row (fastest).
        row_rules: by which a parsed row is a row error, counted when its append commits.
        refuse_rules: rows that fail the whole request with 400, before anything is buffered.
        absorbs_replays: FALSE IS A LIE of the server, for negative controls: a consumed token's
            rows are taken again.
        discards_on_reopen: FALSE IS A LIE, for negative controls: uncommitted rows of an older
            session commit after the reopen.
    """

    commit_delay_s: float = 6.0
    commit_jitter_s: float = 0.0
    commit_grain_s: float = 0.0
    commits_stuck: bool = False
    counters_lag_s: float = 0.0
    idle_expiry_s: float = IDLE_EXPIRY_S
    older_session_is_noop: bool = False
    parses_rows: bool = True
    row_rules: tuple[RowRule, ...] = ()
    refuse_rules: tuple[RowRule, ...] = ()
    absorbs_replays: bool = True
    discards_on_reopen: bool = True


@dataclass(slots=True)
class Tally:
    """What happened since the model was made.

    ``noops_different`` (other rows under a consumed token: they are lost) and ``tokens_missing``
    are mistakes of the client. ``tokens_ahead`` (a token that was never given) is one too, unless
    the channel was lost and created again by somebody else.
    """

    opens: int = 0
    uncommitted_refusals: int = 0
    steals: int = 0
    appends: int = 0
    noops_identical: int = 0
    noops_different: int = 0
    noops_new_request_id: int = 0
    stale_appends: int = 0
    tokens_missing: int = 0
    tokens_ahead: int = 0
    unknown_channel: int = 0
    rows_refused: int = 0
    rows_thrown_away: int = 0
    rows_discarded: int = 0
    commits: int = 0
    rows_committed: int = 0
    row_errors: int = 0

    @property
    def client_bugs(self) -> int:
        """What a correct client never does."""
        return self.noops_different + self.tokens_missing

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        counters = {item.name: int(getattr(self, item.name)) for item in fields(self)}
        return counters | {"client_bugs": self.client_bugs}
