"""Planted mistakes: installs, epochs and numbers, clones and restored files."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from collector.spool.decide import Found, Plan, decide
from tests.model.simulation_host import SimDevice
from tests.model.simulation_planting import Mistake, parts, with_ledger


def _replan(device: SimDevice, spoil: Callable[[Found, Plan], Plan]) -> None:
    device.collector.decide = lambda found: spoil(found, decide(found))


def rely_on_orders(device: SimDevice) -> None:
    """Believe that the spool is the same as long as the process is."""
    parts(device).feed.verify = lambda after: parts(device).feed.begin(device.reader.lineage())


def keep_epoch_after_restore(device: SimDevice) -> None:
    """Go on in the same epoch as long as the boot is the same (a restore without a reboot)."""

    def spoil(found: Found, plan: Plan) -> Plan:
        if plan.epoch_reason not in ("position_differs", "regressed", "no_record"):
            return plan
        return replace(plan, epoch_reason=None, next_seq=found.spool.last_seq + 1, gaps=())

    _replan(device, spoil)


def keep_epoch_at_boot(device: SimDevice) -> None:
    """Give numbers on from the greatest one in the file, whatever the boot (AUTOINCREMENT)."""

    def spoil(found: Found, plan: Plan) -> Plan:
        if plan.epoch_reason != "boot":
            return plan
        newest = found.spool.lineage.newest
        assert newest is not None
        epochs = (*found.spool.lineage.epochs[:-1], replace(newest, boot_id=found.boot_id))
        spool = device.machine.spool
        spool.state = replace(spool.state, epochs=epochs)
        return replace(plan, epoch_reason=None, next_seq=found.spool.last_seq + 1, gaps=())

    _replan(device, spoil)


def keep_epoch_at_quarantine(device: SimDevice) -> None:
    """Go on in the same epoch in a new file, while the old rows are still being carried over."""

    def spoil(found: Found, plan: Plan) -> Plan:
        return plan if plan.epoch_reason != "quarantine" else replace(plan, epoch_reason=None)

    _replan(device, spoil)


def restart_seq_at_quarantine(device: SimDevice) -> None:
    """Begin a new file behind the last committed row, as if the others did not exist."""

    def spoil(found: Found, plan: Plan) -> Plan:
        if plan.epoch_reason != "quarantine":
            return plan
        acknowledged = found.ship.acknowledged if found.ship else None
        first = 1 if acknowledged is None else acknowledged.seq + 1
        return replace(plan, next_seq=first, stored_before=first - 1, gaps=())

    _replan(device, spoil)


def send_before_salvage(device: SimDevice) -> None:
    """Do not wait until the rows of a damaged file are back."""
    device.reader.salvage_pending = lambda: False  # type: ignore[method-assign]


def keep_foreign_ledger(device: SimDevice) -> None:
    """Let a new install go on with the old one's ``ship.db``."""
    ledger = device.machine.ledger

    def settle(install: Any, realtime_ns: int) -> None:
        if not ledger.state.install_id:
            type(ledger).settle(ledger, install, realtime_ns)
        elif ledger.state.install_id != install.install_id:
            ledger.state = replace(ledger.state, install_id=install.install_id)

    with_ledger(device, settle=settle)


def send_before_checking_serials(device: SimDevice) -> None:
    """Open the channel before anybody looked whether this is still the same card."""
    gate: Any = device.drain._gate

    def shut() -> str:
        gate._settle(device.reader.install())
        asked: str = gate._asked()
        return asked

    gate.shut = shut


def keep_install_on_a_clone(device: SimDevice) -> None:
    """Go by the host name, or by anything else that is copied with the card."""

    def spoil(found: Found, plan: Plan) -> Plan:
        if plan.install is not None or found.spool.install is None:
            return plan
        hardware = found.spool.install.hardware
        kept = decide(replace(found, hardware=hardware))
        if kept.install is None:
            return plan
        return replace(kept, install=replace(kept.install, hardware=found.hardware))

    _replan(device, spoil)


IDENTITY: Final = (
    Mistake(rely_on_orders, "lying card"),
    Mistake(keep_epoch_after_restore, "lying card"),
    Mistake(keep_epoch_at_boot, "lying card"),
    Mistake(keep_epoch_at_quarantine, "damaged"),
    Mistake(restart_seq_at_quarantine, "damaged"),
    Mistake(send_before_salvage, "damaged"),
    Mistake(keep_foreign_ledger, "clones"),
    Mistake(send_before_checking_serials, "clones"),
    Mistake(keep_install_on_a_clone, "clones"),
)
