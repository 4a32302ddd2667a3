"""The fault menu: every name, what it does, its own keys. Data only."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.emulators.ingest.effects import (
    Answer,
    Delay,
    Drip,
    DropReply,
    DropRequest,
    Duplicate,
    Effect,
    GzipRubbish,
    Late,
    Mishap,
    Stale,
    Storm,
    Truncate,
    UnknownKeys,
)
from tests.emulators.ingest.faults import ANY, Dish

_RETRY: Final = "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"
_ANSWER_KEYS: Final = {
    "status": "503",
    "shape": "code",
    "code": _RETRY,
    "message": "",
    "retry_after": "",
    "applied": "0",
}


def _plain(effect: Effect, about: str) -> Dish:
    return Dish(about, lambda _: effect, {})


def _number(
    about: str, key: str, default: str, make: Callable[[float], Effect], endpoint: str = ANY
) -> Dish:
    return Dish(about, lambda own: make(float(own[key])), {key: default}, endpoint)


def _answer(about: str, endpoint: str = ANY, **fixed: str) -> Dish:
    """An answer whose keys can still be overridden in the fault's text."""
    keys = _ANSWER_KEYS | {"location": ""} | fixed
    return Dish(about, _build_answer, keys, endpoint)


def _build_answer(own: Mapping[str, str]) -> Effect:
    return Answer(
        status=int(own["status"]),
        shape=own["shape"],
        code=own["code"],
        message=own["message"],
        retry_after=own["retry_after"],
        location=own["location"],
        applied=own["applied"] == "1",
    )


def _mishap(name: str, about: str, **keys: str) -> Dish:
    """Something that happens to the server when it is added, or at the next aimed request."""
    return Dish(about, lambda own: Mishap(name, own), keys, at_once=True)


_TRANSPORT: Final = {
    "drop_request": _plain(DropRequest(), "connection reset, request not carried out"),
    "drop_reply": _plain(DropReply(), "request carried out, connection reset before the answer"),
    "duplicate": _plain(Duplicate(), "request carried out twice, first answer returned"),
    "gzip_rubbish": _plain(GzipRubbish(), "answer claims gzip and is not"),
    "unknown_keys": _plain(UnknownKeys(), "answer has keys nobody has heard of"),
    "delay": _number("wait before it is carried out", "s", "2", lambda s: Delay(s, True)),
    "delay_reply": _number("carried out, then wait", "s", "2", lambda s: Delay(s, False)),
    "late": _number("connection reset; carried out so much later", "s", "30", Late),
    "behind": _number(
        "status as it was, of a replica", "s", "20", lambda s: Stale(s, cached=False), "status"
    ),
    "cached": _number(
        "status as it was, out of a cache", "s", "20", lambda s: Stale(s, cached=True), "status"
    ),
    "drip": _number("answer trickles byte by byte", "bytes_per_s", "1", Drip),
    "truncate": _number(
        "answer cut after so many bytes", "keep", "10", lambda keep: Truncate(int(keep))
    ),
}
_ANSWERS: Final = {
    "answer": _answer("any status and body; applied=1: after carrying it out"),
    "throttle": _answer(
        "429; retry_after=SECONDS, date:SECONDS, or any text",
        status="429",
        code="390701",
        message="Request rate exceeds max. Try later.",
    ),
    "unavailable": _answer("503, body a bare JSON string", shape="string"),
    "no_route": _answer("404 of the proxy", status="404", shape="text", message="No Route"),
    "unauthorized": _answer(
        "401", status="401", code="390114", message="Authentication token has expired"
    ),
    "forbidden": _answer("403", status="403", code="390144", message="Forbidden"),
    "failed_over": _answer("410: pipe moved", status="410", code="ERR_PIPE_FAILED_OVER"),
    "too_large": _answer("413", "append", status="413", shape="text", message="Payload Too Large"),
    "bad_request": _answer("400", "append", status="400", code="ERR_INVALID_ROW"),
    "captive_portal": _answer(
        "200 with a sign-in page", status="200", shape="html", code="Sign in to the network"
    ),
    "redirect": _answer(
        "302 to somewhere else",
        status="302",
        shape="html",
        code="Found",
        location="https://127.0.0.1:9/portal",
    ),
    "not_json": _answer("200 with bytes that are no JSON", status="200", shape="rubbish"),
    "oversize": _answer("200 with 3 MiB of blanks", status="200", shape="huge"),
    "soft_refusal": _answer(
        "200 on append with a status_code other than 0",
        "append",
        status="200",
        shape="status_code",
        code="4",
        message="stale",
    ),
    "stale": _answer(
        "400 STALE", "append", status="400", code="STALE_CONTINUATION_TOKEN_SEQUENCER"
    ),
    "must_reopen": _answer("409", "append", status="409", code="ERR_CHANNEL_MUST_BE_REOPENED"),
    "open_in_progress": _answer(
        "409", "open", status="409", shape="error_code", code="ERR_OPEN_CHANNEL_IN_PROGRESS"
    ),
    "uncommitted": _answer(
        "409", "open", status="409", shape="error_code", code="ERR_CHANNEL_HAS_UNCOMMITTED_DATA"
    ),
    "no_pipe": _answer(
        "404",
        "open",
        status="404",
        shape="error_code",
        code="ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
    ),
    "storm": Dish(
        "a random 429, 500, 502, 503, 504; applied=1: after carrying it out",
        lambda own: Storm(own["applied"] == "1"),
        {"applied": "0"},
    ),
}
_MISHAPS: Final = {
    "invalidate": _mishap(
        "invalidate",
        "channels must be reopened",
        channel="",
        code="ERR_CHANNEL_MUST_BE_REOPENED",
    ),
    "lose": _mishap("lose", "channels are gone, as after 30 idle days", channel=""),
    "replace_table": _mishap("replace_table", "all channels of the pipe are gone"),
    "steal": _mishap("steal", "a second writer opens the channels", channel=""),
    "break_pipe": _mishap(
        "break_pipe",
        "open says 200 and this code, rows are thrown away (aim it: endpoint=open)",
        code="ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
    ),
    "commit_now": _mishap("commit_now", "everything accepted is committed"),
    "revoke_tokens": _mishap("revoke_tokens", "scoped tokens given so far are worthless"),
    "commit_delay": _mishap("commit_delay", "seconds from answer to commit", s="6"),
    "commit_jitter": _mishap("commit_jitter", "at most so much later", s="3"),
    "commit_grain": _mishap("commit_grain", "commits fall on multiples of it", s="5"),
    "commits_stuck": _mishap("commits_stuck", "nothing commits"),
    "counters_lag": _mishap("counters_lag", "counters lag the token", s="2"),
    "idle_expiry": _mishap("idle_expiry", "life of an idle channel", s="30"),
    "older_session_noop": _mishap("older_session_noop", "fenced appends get 200, not STALE"),
    "not_null": _mishap("not_null", "rows without the column are row errors", column="seq"),
    "of_kind": _mishap("of_kind", "rows of another type are row errors", column="", kind="number"),
    "poison": _mishap("poison", "rows with that value are row errors", column="seq", value=""),
    "refuse": _mishap("refuse", "a request with that value is a 400", column="seq", value=""),
    "token_lifetime": _mishap("token_lifetime", "life of scoped tokens", s="60"),
    "max_skew": _mishap("max_skew", "JWT issued further ahead is a 401", s="60"),
    "clock_offset": _mishap("clock_offset", "server's Date and sign-in clock are off", s="3600"),
    "rate_limit": _mishap("rate_limit", "429 above, a channel", rps="10", mb_per_s="20"),
}

MENU: Final[dict[str, Dish]] = _TRANSPORT | _ANSWERS | _MISHAPS


def described() -> str:
    """The menu as lines for people; the keys of an answer are told elsewhere."""
    lines = []
    for name, dish in MENU.items():
        keys = ",".join(f"{key}={value}" for key, value in dish.keys.items())
        shown = f"  {name:19} {dish.about}"
        lines.append(shown if not keys or name in _ANSWERS else f"{shown}\n{'':22}[{keys}]")
    return "\n".join(lines)
