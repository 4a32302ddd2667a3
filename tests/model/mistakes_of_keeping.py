"""Planted mistakes: trimming, thinning, dead letters, events and time."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from collector.spool.decide import Found, Plan, decide
from collector.spool.licence import Licence
from common.identity import Lineage
from common.ship_state import Acknowledgement
from shipper.dead_letters import DeadLetter
from tests.model.simulation_host import SimDevice
from tests.model.simulation_planting import Mistake, parts, with_ledger, with_spool
from tests.model.simulation_thinning import Pass


def trim_by_seq_alone(device: SimDevice) -> None:
    """Delete every row with a number up to the acknowledged one, of whatever epoch.

    Numbers go on from the greatest one in the file, as AUTOINCREMENT gives them.
    """

    def spoil(found: Found) -> Plan:
        plan = decide(found)
        if found.spool.install is None or plan.aside is not None:
            return plan
        return replace(plan, next_seq=found.spool.last_seq + 1, gaps=())

    def licence(lineage: Lineage, *known: Acknowledgement | None) -> Licence:
        best = max((a for a in known if a is not None), key=lambda a: a.seq, default=None)
        return Licence(best, best.seq if best else 0)

    device.collector.decide = spoil
    device.collector.licence = licence


def thin_what_was_sent(device: SimDevice) -> None:
    """Drop the oldest rows of a full spool, also those that are on their way."""
    device.collector.exposed_through = lambda *_: 0


def thin_without_lock(device: SimDevice) -> None:
    """Read what was sent, and thin a moment later, while the shipper goes on."""
    device.collector.lock = lambda: True


def tell_gap_in_a_second_transaction(device: SimDevice) -> None:
    """Delete first and write the gap row afterwards."""
    collector = device.collector

    def remove(found: Pass) -> Iterator[None]:
        spool = device.machine.spool
        kept = spool.without({row.seq for row in found.gone})
        collector.commit(replace(kept, stride=found.stride))
        yield
        collector.commit(device.machine.spool.state.with_rows([collector.gap(found.gap)]))
        device.shared.books.store(device.machine.spool.rows[-1:])

    collector.removes = remove


def keep_no_letter(device: SimDevice) -> None:
    """Drop a row that the server refuses at the door, without keeping it."""
    with_ledger(device, add_dead_letter=lambda letter: 1)


def bury_after_the_tombstone(device: SimDevice) -> None:
    """Send the tombstone first, and keep the row when there is time."""
    owed: list[DeadLetter] = []
    ledger = device.machine.ledger
    real = ledger.add_dead_letter
    expose = ledger.expose

    def exposed(epoch: str, seq: int) -> None:
        expose(epoch, seq)
        if len(owed) > 1:
            real(owed.pop(0))

    def add(letter: DeadLetter) -> int:
        owed.append(letter)
        return len(owed)

    with_ledger(device, add_dead_letter=add, expose=exposed)


def bury_under_another_key(device: SimDevice) -> None:
    """Give the tombstone a number of its own: the row's own number stays open."""
    encoder: Any = device.drain._encoder
    real = encoder.tombstone

    def tombstone(row: Any, reason: str, sending: Any) -> bytes:
        made: bytes = real(row._replace(seq=row.seq + 1), reason, sending)
        return made

    encoder.tombstone = tombstone


def keep_no_range(device: SimDevice) -> None:
    """Go on when the server counts refused rows, without keeping those they can be among."""
    real = device.machine.ledger.acknowledge

    def acknowledge(acknowledgement: Acknowledgement, **told: Any) -> None:
        real(acknowledgement, **told | {"held": ()})

    with_ledger(device, acknowledge=acknowledge)


def copy_events_by_a_cursor(device: SimDevice) -> None:
    """Copy only events with a greater number than the last one, as a log is followed."""
    collector = device.collector
    ledger = device.machine.ledger

    def copied(name: str) -> bool:
        position = [known for known, _ in ledger.state.events].index(name)
        return position < len(device.machine.spool.state.events)

    collector.copied = lambda name: (
        any(known == name for known, _ in ledger.state.events) and copied(name)
    )


def copy_events_again(device: SimDevice) -> None:
    """Copy whatever is there, without remembering what was copied."""
    device.collector.copied = lambda name: False


def send_before_the_clock_is_right(device: SimDevice) -> None:
    """Send rows of the running boot at once, with the time they were stored with."""
    parts(device).feed._waits = lambda row, offset_ns: False


def date_by_the_running_boot(device: SimDevice) -> None:
    """Date every row by the offset of the boot that runs now."""
    real = device.reader.boot_offset_ns
    with_spool(device, boot_offset_ns=lambda boot_id: real(device.machine.clock.boot))


KEEPING: Final = (
    Mistake(trim_by_seq_alone, "lying card"),
    Mistake(thin_what_was_sent, "crowded"),
    Mistake(thin_without_lock, "crowded"),
    Mistake(tell_gap_in_a_second_transaction, "crowded"),
    Mistake(keep_no_letter, "poison"),
    Mistake(bury_after_the_tombstone, "poison"),
    Mistake(bury_under_another_key, "poison"),
    Mistake(keep_no_range, "poison"),
    Mistake(copy_events_by_a_cursor, "lost channels"),
    Mistake(copy_events_again, "lost channels"),
    Mistake(send_before_the_clock_is_right, "wrong clock"),
    Mistake(date_by_the_running_boot, "wrong clock"),
)
