"""Words with checksums, against vectors that nine other implementations agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.drivers.sensirion import (
    ChecksumMismatch,
    Command,
    crc8,
    decode_words,
    encode_command,
    encode_word,
    execute,
)
from tests.unit.collector.rig import VECTORS, ScriptedBus, word

CRC = VECTORS["crc8"]


@pytest.mark.parametrize("case", CRC["words"], ids=lambda case: case["word"])
def test_checksum_of_every_word(case: dict[str, str]) -> None:
    """Each vector word gives its checksum, and encodes and decodes with it."""
    number, checksum = word(case["word"]), word(case["crc"])
    data = number.to_bytes(2, "big")
    assert crc8(data) == checksum
    assert encode_word(number) == data + bytes((checksum,))
    assert decode_words(data + bytes((checksum,)), 1) == (number,)


@pytest.mark.parametrize("case", CRC["other_lengths"], ids=lambda case: case["bytes"])
def test_checksum_of_other_lengths(case: dict[str, str]) -> None:
    """The checksum is not tied to two bytes; over a good frame it is 0."""
    assert crc8(bytes.fromhex(case["bytes"])) == word(case["crc"])


@given(st.binary(min_size=2, max_size=2), st.integers(0, 23))
def test_every_single_flipped_bit_is_caught(data: bytes, bit: int) -> None:
    """One inverted bit anywhere in a word or its checksum never passes."""
    damaged = bytearray(data + bytes((crc8(data),)))
    damaged[bit // 8] ^= 0x80 >> bit % 8
    with pytest.raises(ChecksumMismatch):
        decode_words(bytes(damaged), 1)


@pytest.mark.parametrize("frame", [b"\x00" * 9, b"\xff" * 9], ids=["held low", "floating"])
def test_a_dead_bus_never_passes(frame: bytes) -> None:
    """All zeros and all ones are what a broken wire reads as."""
    with pytest.raises(ChecksumMismatch):
        decode_words(frame, 3)


def test_a_mismatch_tells_word_expected_received_and_frame() -> None:
    """The error carries what is needed to judge the noise."""
    frame = bytes.fromhex("01f4336667a35eb93c")
    with pytest.raises(ChecksumMismatch) as caught:
        decode_words(frame, 3)
    error = caught.value
    assert (error.index, error.expected, error.received, error.frame) == (1, 0xA2, 0xA3, frame)
    assert "word 1 is 0xa3, expected 0xa2" in str(error)


@pytest.mark.parametrize("length", range(6))
def test_a_short_frame_is_a_mismatch(length: int) -> None:
    """Missing bytes are damage, not an IndexError."""
    with pytest.raises(ChecksumMismatch):
        decode_words(bytes.fromhex("beef92beef92")[:length], 2)


def test_commands_are_encoded_with_their_words() -> None:
    """Datasheet example: 1950 m of altitude."""
    assert encode_command(Command(0x2427, words_out=1), 1950).hex() == "2427079e09"
    with pytest.raises(ValueError, match="takes 1 words, not 0"):
        encode_command(Command(0x2427, words_out=1))
    with pytest.raises(OverflowError):
        encode_command(Command(0x2427, words_out=1), 0x10000)


def test_only_short_executions_pause_inside_the_transfer() -> None:
    """Half a second is the caller's wait, a millisecond the bus's."""
    bus = ScriptedBus(bytes.fromhex("beef92"))
    assert execute(bus, 0x62, Command(0x202F, words_in=1, execution_s=0.001)) == (0xBEEF,)
    assert execute(bus, 0x62, Command(0x3F86, execution_s=0.5)) == ()
    assert bus.transfers == [(0x62, "202f", 3, 0.001), (0x62, "3f86", 0, 0.0)]
