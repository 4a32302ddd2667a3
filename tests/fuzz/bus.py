"""Targets: what comes over the bus instead of a chip's answer."""

import contextlib
import math
from typing import Final

from collector.chips import make_chips
from collector.drivers.icp10125_compensation import OtpInvalid
from collector.drivers.sensirion import ChecksumMismatch, decode_words, encode_word
from common.columns import BY_NAME
from common.errors import ThermalError
from tests.emulators.chips import frame as honest_frame
from tests.fuzz.answers import Target
from tests.fuzz.cursor import Cursor

_STEPS: Final = 60


def frame(data: bytes) -> None:
    """A frame that passes is exactly its words with their checksums."""
    cursor = Cursor(data)
    count, received = cursor.number(4), cursor.rest()
    try:
        words = decode_words(received, count)
    except ChecksumMismatch:
        return
    assert b"".join(map(encode_word, words)) == received[: 3 * count]


class Babbling:
    """A ``Bus`` on which the answers are those of the input; every other one has good checksums."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._honest = False

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """See ``Bus``."""
        self._honest = not self._honest
        if self._honest:
            words = (self._cursor.number(65_536) for _ in range(read_length // 3))
            return honest_frame(*words)
        return self._cursor.piece()[:read_length].ljust(read_length, b"\0")

    def reopen(self) -> None:
        """See ``Bus``."""

    def close(self) -> None:
        """See ``Bus``."""


def chips(data: bytes) -> None:
    """Whatever a chip says: an error of ours, or finite values with their reasons."""
    cursor = Cursor(data)
    which = cursor.number(3)
    chip = make_chips(Babbling(cursor), 5.0, lambda: 1.0, None).all[which]
    now_s = 0.0
    with contextlib.suppress(ThermalError):
        chip.probe()
    for _ in range(_STEPS):
        try:
            step = chip.step(now_s)
        except OtpInvalid:
            chip.reset()
            continue
        except ThermalError:
            continue
        now_s += max(step.wait_s, 0.01)
        assert math.isfinite(now_s)
        if step.measurement is not None:
            for reading in step.measurement.readings:
                assert reading.column in BY_NAME
                assert reading.value is None or math.isfinite(reading.value)


SEEDS: Final[dict[Target, tuple[bytes, ...]]] = {
    frame: (b"\0\2" + honest_frame(0xBEEF, 0), b"\0\3" + honest_frame(400, 25_000, 30_000)),
    chips: tuple(bytes((0, which)) + bytes(range(256)) * 4 for which in range(3)),
}
