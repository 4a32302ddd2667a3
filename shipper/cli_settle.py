"""Shows, and at a word accepts, counters that do not fit: ``thermal-shipper settle``."""

import json
import threading
from contextlib import nullcontext
from pathlib import Path

from common.clock import SystemClock
from common.config import load
from common.redaction import SECRETS
from shipper.backfill.courier import Headway
from shipper.balance import Balance, accept, ask, weigh
from shipper.graves import Graves
from shipper.operate import desk, route
from shipper.ports import World


def settle(config: Path, stop: threading.Event, *, accepting: bool, as_json: bool) -> int:
    """Show what was sent and what the server counted; with ``accepting``, go on from there."""
    clock = SystemClock(stop)
    with desk(load(config), clock) as at, route(at) as way:
        world = World(at.spool, at.ledger, way.transport, clock, Headway(), nullcontext())
        status = ask(way.transport, way.target, at.install.channel, way.new_id)
        found = weigh(world, status)
        accepted = accepting and not found.fits
        if accepted:
            # Told first: an event too many says what was meant, one too few hides it.
            at.ledger.add_event("imbalance_accepted", json.dumps(_facts(found)),
                                clock.realtime_ns())
            accept(world, Graves(at.ledger, clock), found)
    if as_json:
        told = {**_facts(found), "fits": found.fits, "accepted": accepted}
        print(SECRETS.clean(json.dumps(told)))
    else:
        print(SECRETS.clean(text(found, accepted=accepted)))
    return 0 if found.fits or accepted else 1


def text(found: Balance, *, accepted: bool) -> str:
    """What does not fit, for a person."""
    lines = [f"{name:<12} {value}" for name, value in _facts(found).items()]
    if found.fits:
        lines.append("every row is accounted for: there is nothing to settle")
    elif accepted:
        lines.append(
            "accepted: the rows in question are kept as dead letters (thermal-shipper dead-letters "
            "list), and the counters are the new baseline; start thermal-shipper again"
        )
    else:
        lines.append(
            "the counters do not account for the rows that were sent; find out why (a pipe that "
            "filters, somebody else who writes?), then: thermal-shipper settle --accept"
        )
    return "\n".join(lines)


def _facts(found: Balance) -> dict[str, object]:
    return {
        "token": found.token, "sent": found.sent, "inserted": found.inserted,
        "errors": found.errors, "after_seq": found.after.seq, "through_seq": found.through.seq,
        "last_error": found.status.last_error or "-",
    }
