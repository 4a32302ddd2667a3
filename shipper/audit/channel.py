"""What the server says, held against the device: its place by the reconcile table, its counters."""

from collections.abc import Iterator
from typing import Final

from shipper.audit.facts import Facts, ServerFacts, licensed, place_of
from shipper.audit.finding import Finding, Level
from shipper.protocol.events import ChannelStatus
from shipper.protocol.reconcile import START, Case, Decision, Known, reconcile
from shipper.text import grouped

_FLAGS: Final = "thermal-shipper goes on after the acknowledgement and flags rows in doubt"
_SHIP: Final = "let thermal-shipper run: it settles this at its next open"
_CASES: Final[dict[Case, tuple[Level, str, str]]] = {
    Case.FIRST: (Level.OK, "nothing was committed yet", ""),
    Case.FORGOTTEN: (
        Level.UNEXPLAINED, "the server has forgotten what it had committed",
        f"find who dropped the channel or replaced the table or pipe; {_FLAGS}",
    ),
    Case.NORMAL: (Level.OK, "the server's place is one of ours", ""),
    Case.REGRESSED: (
        Level.UNEXPLAINED, "the server fell back behind the acknowledgement",
        "thermal-shipper sends again what is still stored, flagged; audit.sql tells what is lost",
    ),
    Case.TAIL_LOST: (
        Level.EXPLAINED, "the server has rows that this card has lost: it rolled back", _SHIP,
    ),
    Case.BOOTS_LOST: (
        Level.EXPLAINED, "the server has boots that this card has lost: it rolled back", _SHIP,
    ),
    Case.UNEXPLAINED: (
        Level.UNEXPLAINED, "the token is of another history: a clone of this card, or another card",
        "find the other device; thermal-shipper asks for a new install and leaves the channel",
    ),
    Case.UNREADABLE: (
        Level.UNEXPLAINED, "the token is not one of ours",
        "find who else writes to this channel; nothing is sent until it is gone",
    ),
}


def channel(facts: Facts, server: ServerFacts) -> Iterator[Finding]:
    """All findings that need the server's answer."""
    status = server.status
    known = _known(server)
    if status is not None and not status.healthy:
        yield Finding(
            Level.UNEXPLAINED, "server.unhealthy",
            f"the channel's status is {status.code}",
            "DESC PIPE shows why; thermal-shipper opens the channel again",
        )
    if status is None and (known.acknowledged > START or known.exposed is not None):
        yield Finding(
            Level.UNEXPLAINED if known.acknowledged > START else Level.WAITING, "server.no_channel",
            "the server knows no such channel",
            "it expires after 30 days without rows, and goes with its pipe or table; "
            "thermal-shipper makes it anew and flags rows in doubt",
        )
    decision = reconcile(None if status is None else status.committed, known)
    if status is not None or known.acknowledged == START:
        yield _place(decision, facts, server)
    if known.recreated or known.new_target:
        yield _other_channel(server, recreated=known.recreated)
    elif status is not None:
        yield from _counters(facts, server, status, decision)


def _known(server: ServerFacts) -> Known:
    """What the shipper would know at an open now."""
    progress, lineage, status = server.progress, server.lineage, server.status
    exposed = progress.exposed
    same = progress.target == server.target
    found = (progress.acknowledged, server.trimmed)
    places = (lineage.position(x.epoch, x.seq) for x in found if x is not None)
    return Known(
        lineage=lineage,
        acknowledged=max((place for place in places if place is not None), default=START),
        exposed=None if exposed is None else lineage.position(*exposed) or START,
        newest=server.newest or START,
        recreated=same and status is not None and progress.created_on_ms != status.created_on_ms,
        new_target=not same and progress.target is not None,
    )


def _place(decision: Decision, facts: Facts, server: ServerFacts) -> Finding:
    """Where the server stands, with the row of the table."""
    level, meaning, remedy = _CASES[decision.case]
    token = None if server.status is None else server.status.committed
    place = place_of(server.lineage, token)
    done = licensed(server.lineage, server.progress.acknowledged, server.trimmed)
    if decision.case is Case.NORMAL and place is not None and (done is None or place > done):
        level, meaning, remedy = Level.WAITING, "committed, not acknowledged yet", _idle(facts)
    shown = "none" if token is None else f"{token[:24]}… {_seq(token)}"
    text = f"{decision.case.value}: {meaning}; token {shown}"
    return Finding(level, "server.place", text, remedy)


def _seq(token: str) -> str:
    """The seq that a token ends with, as people read it."""
    return token.rpartition("|")[2].lstrip("0")


def _idle(facts: Facts) -> str:
    return "" if facts.shipper_runs else "start thermal-shipper"


def _other_channel(server: ServerFacts, *, recreated: bool) -> Finding:
    progress = server.progress
    if recreated:
        assert server.status is not None
        return Finding(
            Level.UNEXPLAINED, "server.recreated",
            f"the channel was made at {server.status.created_on_ms}, ours at "
            f"{progress.created_on_ms}: it was recreated, its counters began anew",
            "find who replaced the table, pipe or channel; " + _SHIP,
        )
    return Finding(
        Level.EXPLAINED, "server.target",
        f"the settings name {server.target}, what was acknowledged belongs to {progress.target}",
        _SHIP,
    )


def _counters(
    facts: Facts, server: ServerFacts, status: ChannelStatus, decision: Decision
) -> Iterator[Finding]:
    """Rows inserted and refused since the acknowledgement, against the rows stored since."""
    progress = server.progress
    base = progress.rows_inserted_base + progress.rows_error_base
    now = status.rows_inserted + status.rows_error
    since = server.sent_since
    parsed = "" if server.rows_parsed is None else f", {grouped(server.rows_parsed)} parsed"
    life = (
        f"{grouped(status.rows_inserted)} inserted, {grouped(status.rows_error)} refused{parsed}"
    )
    if not server.steady:
        yield Finding(Level.WAITING, "server.counters", f"{life}; moving while they were read")
        return
    if progress.target is None:
        yield Finding(
            Level.EXPLAINED, "server.counters",
            f"{life}; ship.db knows no earlier count, the shipper takes these for its base",
        )
        return
    if decision.case is not Case.NORMAL or since is None or not decision.explained:
        yield Finding(
            Level.EXPLAINED, "server.counters",
            f"{life}; explained by {decision.case.value}: rows of a lost history cannot be counted",
        )
        return
    if status.rows_error > progress.rows_error_base:
        yield Finding(
            Level.WAITING if now - base <= since else Level.UNEXPLAINED, "server.errors",
            f"{grouped(status.rows_error - progress.rows_error_base)} rows were refused since the "
            f"acknowledgement: {status.last_error}",
            "thermal-shipper keeps their batches as dead letters",
        )
    yield _balance(facts, life, now - base, since)


def _balance(facts: Facts, life: str, grown: int, since: int) -> Finding:
    text = (
        f"{life}; since the acknowledgement {grouped(grown)}, should be {grouped(since)}"
    )
    if grown == since:
        return Finding(Level.OK, "server.counters", text)
    if 0 <= grown < since:
        return Finding(
            Level.WAITING, "server.counters", f"{text}: counters lag the token", _idle(facts)
        )
    if grown < 0:
        return Finding(
            Level.UNEXPLAINED, "server.counters", f"{text}: they fell",
            "run the audit again; then find who replaced the channel or the table",
        )
    return Finding(
        Level.UNEXPLAINED, "server.counters",
        f"{text}: {grouped(grown - since)} more rows than were sent",
        "audit.sql names double rows; find who else writes to this channel",
    )
