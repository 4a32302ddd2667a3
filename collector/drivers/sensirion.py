"""Words with checksums: the framing that SCD4x, ICP-10125 and SGP30 share.

A command is 16 bits, most significant byte first, without a checksum; every argument and every
response word is followed by a CRC-8 (SCD4x datasheet v1.7 §3.3, §3.12; ICP-10125 DS-000329 §5.8;
SGP30 v1.0 §6.6). All of it is pure but ``execute``.
"""

from dataclasses import dataclass
from typing import Final

from collector.bus import Bus
from collector.drivers import PAUSE_S_MAX
from common.errors import ExitCode, ThermalError

_POLYNOMIAL: Final = 0x31
_INITIAL: Final = 0xFF
_WORD_FRAME: Final = 3


class ChecksumMismatch(ThermalError):
    """A response word and its checksum disagree, so the whole frame is worthless.

    Args:
        frame: all bytes as they came.
        index: which word, from 0.
        expected: checksum of the word as received.
        received: checksum byte as received; ``None`` when the frame is too short to have one.
    """

    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, frame: bytes, index: int, expected: int, received: int | None) -> None:
        got = "nothing" if received is None else f"0x{received:02x}"
        super().__init__(
            f"checksum of word {index} is {got}, expected 0x{expected:02x} (frame {frame.hex()})",
            hint="rare ones are noise; if they persist, shorten the wires or lower the bus speed",
        )
        self.frame = frame
        self.index = index
        self.expected = expected
        self.received = received


@dataclass(frozen=True, slots=True)
class Command:
    """One row of a datasheet's command table.

    Attributes:
        code: the 16 bits that select it.
        words_out: argument words.
        words_in: response words.
        execution_s: time before the answer may be read or the next command sent, seconds (the
            datasheet's maximum).
    """

    code: int
    words_out: int = 0
    words_in: int = 0
    execution_s: float = 0.0


def crc8(data: bytes) -> int:
    """CRC-8, polynomial 0x31, initial 0xFF, not reflected: 0xBEEF gives 0x92."""
    crc = _INITIAL
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ _POLYNOMIAL if crc & 0x80 else crc << 1
            crc &= 0xFF
    return crc


def encode_word(word: int) -> bytes:
    """Two bytes and their checksum.

    Raises:
        OverflowError: the word does not fit into 16 unsigned bits.
    """
    data = word.to_bytes(2, "big")
    return data + bytes((crc8(data),))


def encode_command(command: Command, *words: int) -> bytes:
    """The bytes of one write.

    Raises:
        ValueError: the number of words is not the command's (a mistake of the caller).
    """
    if len(words) != command.words_out:
        raise ValueError(
            f"command 0x{command.code:04x} takes {command.words_out} words, not {len(words)}"
        )
    return command.code.to_bytes(2, "big") + b"".join(encode_word(word) for word in words)


def decode_words(frame: bytes, count: int) -> tuple[int, ...]:
    """The unsigned words of a frame, each checked.

    Args:
        frame: bytes of one read.
        count: words expected.

    Raises:
        ChecksumMismatch: a checksum is wrong, or bytes are missing. A floating bus (all ones) and
            one held low (all zeros) both end here, since CRC(FFFF) is AC and CRC(0000) is 81.
    """
    words = []
    for index in range(count):
        part = frame[index * _WORD_FRAME : (index + 1) * _WORD_FRAME]
        expected = crc8(part[:2])
        received = part[2] if len(part) == _WORD_FRAME else None
        if received != expected:
            raise ChecksumMismatch(frame, index, expected, received)
        words.append(int.from_bytes(part[:2], "big"))
    return tuple(words)


def execute(bus: Bus, address: int, command: Command, *words: int) -> tuple[int, ...]:
    """Send a command and read its answer, in one transfer.

    A command that takes longer than ``PAUSE_S_MAX`` is only sent: the caller then waits for
    ``command.execution_s`` by itself.

    Raises:
        BusError: the transfer failed.
        ChecksumMismatch: the answer was damaged.
    """
    frame = bus.transfer(
        address,
        encode_command(command, *words),
        command.words_in * _WORD_FRAME,
        command.execution_s if command.execution_s <= PAUSE_S_MAX else 0.0,
    )
    return decode_words(frame, command.words_in)
