"""Asks the server for the live channel's status: one question, no open, nothing is disturbed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from common.spool.reader import SpoolReader
from shipper.audit.facts import ServerFacts, licensed, place_of
from shipper.audit.ship import read_place
from shipper.check import DEADLINE_S, Check, StageFailed, new_id, pipe_failure
from shipper.progress import Progress
from shipper.protocol.codes import read_body
from shipper.protocol.events import ChannelStatus
from shipper.protocol.replies import read_status
from shipper.protocol.requests import Call, channel_status

TRIES: Final = 5
"""Questions until ``ship.db`` was the same before and after one."""

Answer = tuple[ChannelStatus | None, int | None]


def ask(check: Check, directory: Path) -> ServerFacts:
    """Ask for the channel of the spool's install.

    Args:
        check: all of its stages have passed.
        directory: of the spool.

    Raises:
        StageFailed, NotSent, OutcomeUnknown, SpoolError: there is no usable answer.
    """
    with SpoolReader(directory) as spool:
        channel = spool.install().channel
        steady, progress, answer = _steady(lambda: _question(check, channel), directory)
        status, parsed = answer
        lineage, trimmed = spool.lineage(), spool.trimmed()
        since = None
        place = place_of(lineage, None if status is None else status.committed)
        if place is not None:
            since = spool.count_between(licensed(lineage, progress.acknowledged, trimmed), place)
        return ServerFacts(
            f"{check.endpoint.target}/{channel}",
            progress,
            lineage,
            trimmed,
            spool.newest(),
            status,
            parsed,
            since,
            steady,
        )


def _steady(question: Callable[[], Answer], directory: Path) -> tuple[bool, Progress, Answer]:
    """Ask until the shipper acknowledged nothing while the question was under way."""
    before = read_place(directory)
    for _ in range(TRIES):
        answer, after = question(), read_place(directory)
        if _settled(before) == _settled(after):
            return True, after, answer
        before = after
    return False, before, answer


def _settled(progress: Progress) -> tuple[object, ...]:
    """What changes with an acknowledgement only, not with each batch."""
    return (progress.target, progress.created_on_ms, progress.acknowledged,
            progress.rows_inserted_base, progress.rows_error_base)


def _question(check: Check, channel: str) -> Answer:
    """Status, and the count of parsed rows; ``None``: there is no such channel."""
    request = channel_status(check.endpoint.target, channel, Call(new_id()))
    reply = check.transport.send(request, DEADLINE_S)
    if reply.status != 200:
        raise pipe_failure(reply)
    statuses = (read_body(reply.body).object or {}).get("channel_statuses")
    if not isinstance(statuses, dict):
        raise StageFailed("unfit", "the answer is none of the API's", "check [snowflake] url")
    given = statuses.get(channel)
    if given is None:
        return None, None
    status = read_status(given)
    if status is None:
        raise StageFailed("unfit", f"{channel}: the status lacks its counters", "try again")
    parsed = given.get("rows_parsed")
    return status, parsed if type(parsed) is int else None
