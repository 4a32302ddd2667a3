"""Each entry of the fault menu: where it can hit the shipper, and what it must be called. Data.

``says`` is a text that the operator must find in the status line, in the reason or among the alarms
while the fault lasts; "" where nothing is wrong for the shipper, so that nothing need be said.
"""

from dataclasses import dataclass
from typing import Final

SIGN_IN: Final = ("hostname", "token")
SESSION: Final = ("open", "append", "status")
EVERYWHERE: Final = SIGN_IN + SESSION
AT_ONCE: Final = ("",)
RETRY: Final = "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"
LOST: Final = "ERR_CHANNEL_MUST_BE_REOPENED"
NO_PIPE: Final = "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of the menu.

    Attributes:
        says: what the operator reads; "" needs nothing.
        endpoints: where it is aimed; "" is the server as a whole.
        keys: own keys of the fault.
        flagged: whether rows may arrive twice with their flag.
        quiet: endpoints where nothing need be said, though elsewhere something must.
        sign_in: what the operator reads when it hits the sign-in; "" is the same.
    """

    says: str
    endpoints: tuple[str, ...] = EVERYWHERE
    keys: str = ""
    flagged: bool = False
    quiet: tuple[str, ...] = ()
    sign_in: str = ""

    def told(self, endpoint: str) -> str:
        """What must be said when it hits there; "" is nothing."""
        if endpoint in self.quiet:
            return ""
        return self.sign_in if self.sign_in and endpoint in SIGN_IN else self.says

    def spec(self, name: str, endpoint: str, times: int = 0) -> str:
        """The fault as the emulator reads it.

        Args:
            name: of the entry.
            endpoint: where; "": at once.
            times: how often; 0: until healed.
        """
        aim = f"endpoint={endpoint},times={times}" if endpoint else ""
        return f"{name}:{','.join(part for part in (aim, self.keys) if part)}".removesuffix(":")


CASES: Final[dict[str, Case]] = {
    "drop_request": Case("Connection reset"),
    "drop_reply": Case("Connection reset"),
    "duplicate": Case("STALE_CONTINUATION", quiet=("hostname", "token", "append", "status")),
    "gzip_rubbish": Case("the answer cannot be read"),
    "unknown_keys": Case(""),
    "delay": Case("no answer before the deadline", keys="s=20", quiet=("open", "append")),
    "delay_reply": Case("no answer before the deadline", keys="s=20", quiet=("open", "append")),
    "late": Case("Connection reset"),
    "behind": Case("broken_promise", ("status",)),
    "cached": Case("broken_promise", ("status",)),
    "drip": Case("no answer before the deadline"),
    "truncate": Case("Connection reset"),
    "answer": Case(RETRY),
    "throttle": Case("390701"),
    "unavailable": Case(RETRY),
    # A token endpoint that does not exist is no fault: the credential itself is taken then.
    "no_route": Case("404", quiet=("token",)),
    "unauthorized": Case("390114"),
    "forbidden": Case("390144"),
    "failed_over": Case("moved", SESSION),
    "too_large": Case("http_413", ("append",)),
    "bad_request": Case("ERR_INVALID_ROW", ("append",)),
    "captive_portal": Case("web_page", sign_in="something stands between"),
    "redirect": Case("HTTP 302"),
    "not_json": Case("unfit_answer", SESSION),
    "oversize": Case("more than 1048576 bytes"),
    "soft_refusal": Case("status_code 4", ("append",)),
    "stale": Case("STALE_CONTINUATION_TOKEN_SEQUENCER", ("append",)),
    "must_reopen": Case(LOST, ("append",)),
    "open_in_progress": Case("ERR_OPEN_CHANNEL_IN_PROGRESS", ("open",)),
    "uncommitted": Case("ERR_CHANNEL_HAS_UNCOMMITTED_DATA", ("open",)),
    "no_pipe": Case(NO_PIPE, ("open",)),
    "storm": Case("waiting: "),
    "invalidate": Case("STALE_CONTINUATION_TOKEN_SEQUENCER", ("append",)),
    "lose": Case("channel_lost", AT_ONCE, flagged=True),
    "replace_table": Case("channel_recreated", AT_ONCE, flagged=True),
    "steal": Case("second_writer", ("append",)),
    "break_pipe": Case(NO_PIPE, AT_ONCE),
    "commit_now": Case("", AT_ONCE),
    "revoke_tokens": Case("390114", SESSION),
    "commit_delay": Case("", AT_ONCE, "s=60"),
    "commit_jitter": Case("", AT_ONCE, "s=20"),
    "commit_grain": Case("", AT_ONCE, "s=60"),
    "commits_stuck": Case("commit_stall", AT_ONCE),
    "counters_lag": Case("imbalance", AT_ONCE, "s=1e9"),
    # Alone it does nothing: rows come far more often. After another outage the channel is gone.
    "idle_expiry": Case("", AT_ONCE, "s=60", flagged=True),
    "older_session_noop": Case("", AT_ONCE),
    "not_null": Case("rows_rejected", AT_ONCE, "column=scd4x_humidity_percent"),
    "of_kind": Case("rows_rejected", AT_ONCE, "column=scd4x_co2_ppm,kind=text"),
    "poison": Case("rows_rejected", AT_ONCE, "column=scd4x_co2_ppm,value=428.0"),
    "refuse": Case("row_refused", AT_ONCE, "column=scd4x_co2_ppm,value=428.0"),
    "token_lifetime": Case("", AT_ONCE, "s=60"),
    "max_skew": Case("", AT_ONCE, "s=60"),
    "clock_offset": Case("", AT_ONCE, "s=86400"),
    "rate_limit": Case("390701", AT_ONCE, "rps=0.1"),
}
