"""Whether the shipper may speak at all yet."""

from common.identity import Hardware, Install, Lineage


def waiting_for_collector(
    install: Install, lineage: Lineage, present: Hardware, boot_id: str
) -> str | None:
    """Why the shipper must not make any network call yet (rule 2).

    A clone's shipper that spoke before its collector has seen the other card would take the channel
    from the original.

    Args:
        install: as the spool names it.
        lineage: the spool's epochs.
        present: serial numbers that the shipper itself has read.
        boot_id: the kernel's, now.

    Returns:
        The reason to wait, for a person, or ``None``: go.
    """
    newest = lineage.newest
    if newest is None:
        return "the collector has not made an epoch yet"
    if newest.boot_id != boot_id:
        return "the newest epoch is of an earlier boot: the collector has not run in this one"
    if install.hardware.card_serial != present.card_serial:
        return "the spool is of another card: the collector has not settled this one"
    if install.hardware.board_serial != present.board_serial:
        return "the spool is of another board: the collector has not settled this one"
    return None
