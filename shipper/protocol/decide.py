"""What to do next, out of the channel's state, the waits and the plan for opening."""

from dataclasses import dataclass
from typing import TypeAlias

from shipper.protocol.channel import Channel, State
from shipper.protocol.errors import LocalProtocolError
from shipper.protocol.limits import Limits
from shipper.protocol.opening import Approach, OpenPlan
from shipper.protocol.pacing import Pacing


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open the channel; ``insist``: discard what is uncommitted there."""

    insist: bool


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask for the status."""


@dataclass(frozen=True, slots=True)
class SendNext:
    """Cut a batch of what is next in the spool, if there is enough, and send it."""


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Send the frozen batch again, as it is."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the session; the next step opens again."""

    cause: str


Action: TypeAlias = Wait | Open | Poll | SendNext | SendAgain | GiveUp


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision looks at.

    Attributes:
        anchored: whether the counters' base is known; nothing is sent before it is.
        unsettled: whether committed rows still wait for their counters.
    """

    channel: Channel
    pacing: Pacing
    plan: OpenPlan
    limits: Limits
    anchored: bool
    unsettled: bool


def decide(at: Situation, now_s: float) -> Action:
    """The next action; ``SendNext`` may still find that nothing is due.

    Raises:
        LocalProtocolError: asked while a request is in flight.
    """
    if (wait_s := at.pacing.wait_s(now_s)) > 0:
        return Wait(wait_s)
    match at.channel.state:
        case State.CLOSED | State.FAULTED:
            return _towards_open(at, now_s)
        case State.READY:
            return _in_session(at, now_s)
        case State.HELD:
            return SendAgain()
        case State.UNRESOLVED:
            if at.channel.tries >= at.limits.tries_max:
                return GiveUp("outcome_unknown")
            return SendAgain()
        case state:
            raise LocalProtocolError(f"no action in state {state}")


def polls_soon(at: Situation) -> bool:
    """Whether something waits for the next status."""
    return not at.anchored or at.unsettled or at.channel.window.batches > 0


def _towards_open(at: Situation, now_s: float) -> Action:
    approach = at.plan.approach(now_s)
    # A faulted channel is only ever asked to open: its own poll would tell nothing new.
    if approach is not Approach.WATCH or at.channel.state is State.FAULTED:
        return Open(insist=approach is Approach.INSIST)
    wait_s = at.pacing.poll_due_s(now_s)
    return Wait(wait_s) if wait_s > 0 else Poll()


def _in_session(at: Situation, now_s: float) -> Action:
    window = at.channel.window
    poll_s = at.pacing.poll_due_s(now_s)
    if poll_s <= 0:
        return Poll()
    # Only behind a poll: after a long suspend the commit is there, and nobody has asked yet.
    if at.pacing.stalled(window, now_s):
        return GiveUp("commit_stall")
    append_s = at.pacing.append_wait_s(window, now_s) if at.anchored else None
    if append_s is None:
        return Wait(poll_s)
    return SendNext() if append_s <= 0 else Wait(min(poll_s, append_s))
