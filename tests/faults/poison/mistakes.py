"""Mistakes with refused rows, planted into a process; the verdict must see each."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from shipper.dead_letters import DeadLetter
from shipper.progress import Progress
from shipper.protocol.payload import Row, RowEncoder, Sending
from tests.emulators.ingest.store import CommittedRow
from tests.faults.poison.live import Live
from tests.model.rig import LIVE


def letter_not_kept(live: Live) -> None:
    """A refused row is replaced by its tombstone, and its payload kept nowhere."""
    ledger: Any = live.ledger
    ledger.add_dead_letter = lambda letter: 0


def range_not_kept(live: Live) -> None:
    """Rows refused after acceptance are acknowledged like the others."""
    ledger: Any = live.ledger
    real = type(ledger).acknowledge

    def acknowledge(*words: Any, held: Iterable[DeadLetter] = (), **more: Any) -> None:
        real(ledger, *words, **more)

    ledger.acknowledge = acknowledge


def range_sent_again(live: Live) -> None:
    """A range with refused rows is kept, and its rows are sent again by themselves."""
    ledger: Any = live.ledger
    real = type(ledger).acknowledge

    def acknowledge(*words: Any, held: Iterable[DeadLetter] = (), **more: Any) -> None:
        letters = list(held)
        real(ledger, *words, held=letters, **more)
        for text in b"".join(letter.payload for letter in letters).splitlines():
            if b"LATE" not in text:
                row = CommittedRow(LIVE, None, text.decode(), live.clock.now_s)
                live.store.rows.append(row)

    ledger.acknowledge = acknowledge


def baseline_reset(live: Live) -> None:
    """The counters at a start are taken for the baseline: refusals while down are never seen."""
    ledger: Any = live.ledger
    real = type(ledger).progress

    def progress() -> Progress:
        found: Progress = real(ledger)
        channel = live.model.channels.get(LIVE)
        if channel is None or found.target is None:
            return found
        refused = channel.totals.rows_error_count
        inserted = channel.totals.rows_inserted
        sent = inserted + refused - found.rows_inserted_base - found.rows_error_base
        return replace(
            found, rows_error_base=refused, rows_inserted_base=inserted - max(sent, 0)
        )

    ledger.progress = progress


def wrong_payload(live: Live) -> None:
    """The letter of a refused row holds the tombstone that was sent for it."""
    graves: Any = live.drain._parts.graves
    real = graves._bury

    def bury(epoch: str, seq: int, why: tuple[str, str], payload: bytes) -> None:
        real(epoch, seq, why, b"[]\n")

    graves._bury = bury


def tombstone_without_key(live: Live) -> None:
    """The row behind a poison row is taken for the poison row."""
    graves: Any = live.drain._parts.graves
    real = graves.line

    def line(row: Row, sending: Sending, encoder: RowEncoder) -> tuple[bytes, bool]:
        if (row.origin.epoch, row.seq - 1) in graves._reasons:
            return encoder.tombstone(row, "content", sending), False
        found: tuple[bytes, bool] = real(row, sending, encoder)
        return found

    graves.line = line
