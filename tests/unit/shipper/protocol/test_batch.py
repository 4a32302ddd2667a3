"""A batch: how much goes in, and that it is what it says."""

import random
import zlib

import pytest

from common.identity import Position
from shipper.protocol.batch import WIRE_BYTES_MAX, BatchBuilder
from shipper.protocol.errors import LocalProtocolError


def lines_of(body: bytes) -> list[bytes]:
    """What the server reads."""
    return zlib.decompress(body, 16 + zlib.MAX_WBITS).splitlines(keepends=True)


def noise(count: int, size: int) -> list[bytes]:
    """Lines that no compressor can shorten much."""
    source = random.Random(5)
    return [source.randbytes(size).hex().encode()[:size] + b"\n" for _ in range(count)]


def fill(builder: BatchBuilder, lines: list[bytes]) -> int:
    """Add until one is not taken; returns how many were."""
    for number, line in enumerate(lines):
        if not builder.add(line, Position(1, number + 1), sample=True):
            return number
    return len(lines)


@pytest.mark.parametrize("bytes_max", [4096, 65_536, 262_144])
@pytest.mark.parametrize("size", [60, 700, 3000])
def test_a_body_never_passes_its_limit_and_comes_close(bytes_max: int, size: int) -> None:
    """Whatever the lines are like, the body is at most the limit, and nearly as long as allowed."""
    for lines in (noise(20_000, size), [b"x" * size + b"%d\n" % n for n in range(50_000)]):
        builder = BatchBuilder(bytes_max)
        taken = fill(builder, lines)
        packed = builder.pack()
        assert taken == packed.rows
        assert len(packed.body) <= bytes_max
        assert lines_of(packed.body) == lines[:taken]
        assert packed.raw_bytes == sum(map(len, lines[:taken]))
        if taken < len(lines):
            assert len(packed.body) > bytes_max - 2 * size - 1024


def test_the_same_lines_give_the_same_bytes() -> None:
    """No time stamp or name is in the gzip header."""
    bodies = []
    for _ in range(2):
        builder = BatchBuilder(4096)
        fill(builder, noise(5, 100))
        bodies.append(builder.pack().body)
    assert bodies[0] == bodies[1]
    assert bodies[0][4:8] == bytes(4)


def test_a_line_that_can_never_fit_is_not_taken() -> None:
    """An empty builder refuses it, and stays usable."""
    builder = BatchBuilder(4096)
    assert not builder.add(b"x" * 5000, Position(1, 1), sample=True)
    assert builder.rows == 0
    assert builder.add(b"y\n", Position(1, 1), sample=True)


def test_a_batch_knows_its_ends_and_its_samples() -> None:
    """First and last position, rows, and how many of them are not tombstones."""
    builder = BatchBuilder(4096)
    for seq, sample in ((5, True), (7, False), (8, True)):
        assert builder.add(b"{}\n", Position(2, seq), sample=sample)
    packed = builder.pack()
    assert (packed.first, packed.last) == (Position(2, 5), Position(2, 8))
    assert (packed.rows, packed.samples) == (3, 2)


@pytest.mark.parametrize(
    "position", [Position(2, 5), Position(2, 4), Position(3, 6), Position(1, 9)]
)
def test_rows_are_of_one_epoch_and_in_order(position: Position) -> None:
    """A batch that spans epochs could not be named by one token."""
    builder = BatchBuilder(4096)
    builder.add(b"{}\n", Position(2, 5), sample=True)
    with pytest.raises(LocalProtocolError):
        builder.add(b"{}\n", position, sample=True)


def test_limits_of_the_server_are_limits_of_a_builder() -> None:
    """4,194,304 bytes on the wire are allowed, one more is not; an empty batch is a bug."""
    assert WIRE_BYTES_MAX == 4_194_304
    BatchBuilder(WIRE_BYTES_MAX)
    with pytest.raises(LocalProtocolError):
        BatchBuilder(WIRE_BYTES_MAX + 1)
    with pytest.raises(LocalProtocolError):
        BatchBuilder(4096).pack()
