"""What the two files of the device say of each other; pure."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from shipper.audit.facts import Facts, Letter, SpoolFacts, licensed
from shipper.audit.finding import Finding, Level, named
from shipper.text import grouped

_CARD: Final = (
    "look for a restored or edited spool.db, and for errors of the card in the kernel log; "
    "audit.sql shows what arrived"
)
_LETTERS: Final = "thermal-shipper dead-letters shows them, and sends them again"


def device(facts: Facts) -> Iterator[Finding]:
    """All findings that need no server."""
    yield _conservation(facts.spool)
    yield from _holes(facts.spool)
    yield from _gap_rows(facts.spool)
    yield from _checksums(facts)
    yield from _trimmed(facts)
    yield from _ship_file(facts)
    yield from _letters(facts.ship.letters)
    yield from _under_way(facts)


def _conservation(spool: SpoolFacts) -> Finding:
    """Every number ever given is accounted for, once."""
    given = sum(epoch.given.size for epoch in spool.epochs)
    trimmed = sum(epoch.trimmed for epoch in spool.epochs)
    reasons: Counter[str] = Counter()
    for epoch in spool.epochs:
        reasons.update(epoch.told)
    missing = sum(epoch.missing for epoch in spool.epochs)
    named_reasons = ", ".join(f"{reason} {grouped(n)}" for reason, n in sorted(reasons.items()))
    told = f" ({named_reasons})" if reasons else ""
    text = (
        f"{grouped(given)} given = {grouped(trimmed)} trimmed + {grouped(spool.rows)} stored + "
        f"{grouped(reasons.total())} told by gap rows{told} + {grouped(missing)} missing"
    )
    if any(epoch.balance for epoch in spool.epochs):
        off = ", ".join(f"{e.epoch}: {e.balance}" for e in spool.epochs if e.balance)
        return Finding(
            Level.UNEXPLAINED, "spool.balance", f"{text}; off by {off}",
            "run the audit again; if it stays, spool.db was edited",
        )
    return Finding(Level.OK, "spool.conservation", text)


def _holes(spool: SpoolFacts) -> Iterator[Finding]:
    if spool.vanished.count:
        yield Finding(
            Level.UNEXPLAINED, "spool.missing",
            f"not acknowledged, no row, no gap row: {named(spool.vanished)}", _CARD,
        )
    if spool.vanished_acknowledged.count:
        yield Finding(
            Level.TABLE, "spool.missing_acknowledged",
            f"no row and no gap row, but acknowledged: {named(spool.vanished_acknowledged)}",
            "audit.sql must show them; look for a restored or edited spool.db",
        )


def _gap_rows(spool: SpoolFacts) -> Iterator[Finding]:
    for stretch, absent, told in spool.hiding:
        yield Finding(
            Level.UNEXPLAINED, "spool.gap_hides",
            f"seq {stretch.first} … {stretch.last}: {grouped(absent)} rows are absent, gap rows "
            f"tell of {grouped(told)}", _CARD,
        )
    for row in spool.gap_rows:
        if row.told.last >= row.seq or not 0 <= row.count <= row.told.size:
            yield Finding(
                Level.UNEXPLAINED, "spool.gap_wrong",
                f"gap row {row.seq} ({row.reason}) tells of {grouped(row.count)} rows in "
                f"{row.told.first} … {row.told.last}", _CARD,
            )


def _checksums(facts: Facts) -> Iterator[Finding]:
    spool = facts.spool
    if not spool.corrupt_count:
        yield Finding(Level.OK, "spool.checksums", f"{grouped(spool.rows)} rows, all sums fit")
        return
    done = licensed(spool.lineage, facts.ship.progress.acknowledged, spool.trimmed)
    buried = {(x.epoch, x.rows.first) for x in facts.ship.letters if x.form == "row"}
    bad: list[tuple[str, int]] = []
    for epoch, seq in spool.corrupt:
        place = spool.lineage.position(epoch, seq)
        safe = done is not None and place is not None and place <= done
        if not safe and (epoch, seq) not in buried:
            bad.append((epoch, seq))
    unnamed = spool.corrupt_count - len(spool.corrupt)
    good = len(spool.corrupt) - len(bad)
    if good:
        yield Finding(
            Level.EXPLAINED, "spool.checksums",
            f"{good} rows do not fit their checksum: acknowledged before, or kept as dead letters",
        )
    if bad or unnamed:
        shown = ", ".join(f"{epoch}/{seq}" for epoch, seq in bad[:5])
        yield Finding(
            Level.UNEXPLAINED, "spool.corrupt",
            f"{grouped(len(bad) + unnamed)} rows that have not arrived do not fit their checksum: "
            f"{shown}",
            "the shipper sends a tombstone for each and keeps what is left; replace the card",
        )


def _trimmed(facts: Facts) -> Iterator[Finding]:
    trimmed = sum(epoch.trimmed for epoch in facts.spool.epochs)
    if trimmed:
        yield Finding(
            Level.TABLE, "spool.trimmed",
            f"{grouped(trimmed)} numbers were trimmed once acknowledged; what stood there, and "
            "which of them gap rows told of, only the table knows",
            "run deploy/snowflake/audit.sql",
        )


def _ship_file(facts: Facts) -> Iterator[Finding]:
    spool, ship = facts.spool, facts.ship
    if not ship.found:
        if spool.trimmed is None:
            yield Finding(Level.WAITING, "ship.absent", "the shipper has not run yet",
                          "start thermal-shipper")
        else:
            yield Finding(
                Level.UNEXPLAINED, "ship.lost", "rows were trimmed, and there is no ship.db",
                "start thermal-shipper: it asks the server where to go on; dead letters are gone",
            )
        return
    if ship.install_id is not None and ship.install_id != spool.install.install_id:
        yield Finding(
            Level.UNEXPLAINED, "ship.foreign",
            f"ship.db is of install {ship.install_id}, the spool of {spool.install.install_id}",
            "start thermal-shipper: it sets a foreign ship.db aside",
        )
    done = ship.progress.acknowledged
    if done is not None and spool.lineage.find(done.epoch) is None:
        yield Finding(
            Level.UNEXPLAINED, "ship.acknowledged_elsewhere",
            f"acknowledged is {done.epoch}/{done.seq}, an epoch that the spool does not know",
            "nothing is trimmed by it; the next open of the channel asks the server",
        )


def _letters(letters: tuple[Letter, ...]) -> Iterator[Finding]:
    for form, what in (("row", "a tombstone stands in the table"), ("range", "some were refused")):
        found = [letter for letter in letters if letter.form == form]
        if found:
            rows = sum(letter.rows.size for letter in found)
            reasons = ", ".join(sorted({letter.reason for letter in found}))
            yield Finding(
                Level.EXPLAINED, f"ship.letters_{form}",
                f"{grouped(len(found))} dead letters of form {form}, {grouped(rows)} numbers "
                f"({reasons}): {what}", _LETTERS,
            )
    torn = [letter.id for letter in letters if not letter.readable]
    if torn:
        yield Finding(
            Level.UNEXPLAINED, "ship.letter_unreadable",
            f"{grouped(len(torn))} dead letters cannot be unpacked, their rows are lost: "
            f"{', '.join(map(str, torn[:5]))}",
            "look for errors of the card in the kernel log",
        )


def _under_way(facts: Facts) -> Iterator[Finding]:
    """What the services still have to do."""
    spool, ship = facts.spool, facts.ship
    collector = "" if facts.collector_runs else "start thermal-collector"
    shipper = "" if facts.shipper_runs else "start thermal-shipper"
    exposed = sum(epoch.exposed for epoch in spool.epochs)
    waiting = sum(epoch.waiting for epoch in spool.epochs)
    if exposed or waiting:
        yield Finding(
            Level.WAITING, "spool.backlog",
            f"{grouped(exposed)} rows may have left and are not committed, {grouped(waiting)} have "
            "not left", shipper,
        )
    if ship.progress.in_doubt is not None:
        epoch, seq = ship.progress.in_doubt
        yield Finding(Level.WAITING, "ship.in_doubt", f"rows are flagged through {epoch}/{seq}")
    untold = {kind for name, kind in ship.events.items() if name not in spool.copied}
    if untold:
        yield Finding(Level.WAITING, "ship.events",
                      f"events not yet copied to the spool: {', '.join(sorted(untold))}", collector)
    if ship.open_events:
        yield Finding(Level.WAITING, "ship.open_events",
                      f"{ship.open_events} kinds of event are told after the end of the UTC day")
    for name, kind in ship.requests:
        done = "was done, the shipper has not seen it" if name in spool.honoured else "is open"
        yield Finding(Level.WAITING, "ship.request",
                      f"request {kind} {done}; nothing is sent meanwhile", collector or shipper)
    if ship.jobs:
        yield Finding(Level.WAITING, "ship.jobs",
                      f"rows are being sent again: job {', '.join(map(str, ship.jobs))}", shipper)
    if spool.salvage_pending or spool.unfinished:
        yield Finding(Level.WAITING, "spool.salvage",
                      "rows of a damaged file are being carried over", collector)
    if spool.aside:
        yield Finding(
            Level.EXPLAINED, "spool.aside", f"set aside: {', '.join(spool.aside)}",
            "once nothing in it is wanted any more, delete it",
        )
