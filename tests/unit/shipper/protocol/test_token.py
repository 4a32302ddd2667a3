"""The offset token's grammar."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity import Epoch, Lineage
from shipper.protocol.token import SEQ_MAX, OffsetToken, TokenUnreadable, parse, token_of

EPOCH = st.text("0123456789abcdef", min_size=16, max_size=16)
TOKEN = st.builds(
    OffsetToken, EPOCH, st.lists(EPOCH, max_size=4).map(tuple), st.integers(1, SEQ_MAX)
)
E1, E2 = "9f3c9f3c9f3c9f3c", "77aa77aa77aa77aa"


@given(TOKEN)
def test_what_is_written_is_read_back(token: OffsetToken) -> None:
    """Writing and reading a token gives the same token, and one text only."""
    assert parse(str(token)) == token
    assert str(parse(str(token))) == str(token)


@given(TOKEN, TOKEN)
def test_texts_of_one_epoch_sort_as_their_seqs(one: OffsetToken, two: OffsetToken) -> None:
    """Fixed width makes the order of texts that of numbers: "9" never comes after "10"."""
    other = OffsetToken(one.epoch, one.ancestors, two.seq)
    assert (str(one) < str(other)) == (one.seq < other.seq)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in any other way, and what it reads it writes the same."""
    try:
        token = parse(text)
    except TokenUnreadable:
        return
    assert str(token) == text


@given(TOKEN, st.data())
def test_no_changed_character_is_overlooked(token: OffsetToken, data: st.DataObject) -> None:
    """A text with one other character is refused or is another token."""
    text = str(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
    with contextlib.suppress(TokenUnreadable):
        assert parse(text[:at] + other + text[at + 1 :]) != token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "550",
        "v2|9f3c9f3c9f3c9f3c||00000000000000000001",
        "v1|9F3C9f3c9f3c9f3c||00000000000000000001",
        "v1|9f3c9f3c9f3c9f3||00000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||0000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||000000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||0000000000000000000\u0661",
        "v1|9f3c9f3c9f3c9f3c||00000000000000000000",
        "v1|9f3c9f3c9f3c9f3c||99999999999999999999",
        "v1|9f3c9f3c9f3c9f3c|,|00000000000000000001",
        "v1|9f3c9f3c9f3c9f3c|" + ",".join([E2] * 5) + "|00000000000000000001",
        "v1|9f3c9f3c9f3c9f3c|00000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||00000000000000000001|",
        " v1|9f3c9f3c9f3c9f3c||00000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||+0000000000000000001",
        "v1|9f3c9f3c9f3c9f3c||0000000000000000_001",
    ],
)
def test_other_grammars_are_refused(text: str) -> None:
    """Wrong version, width, case, digits of other scripts, too many ancestors: all refused."""
    with pytest.raises(TokenUnreadable):
        parse(text)


def test_a_row_is_named_with_its_history() -> None:
    """The token of a row holds its epoch's ancestors, nearest first, as the design writes it."""
    lineage = Lineage((Epoch(1, E2, None, "b", 1, 9), Epoch(2, E1, E2, "c", 10, 12)))
    assert str(token_of(lineage, E1, 11)) == f"v1|{E1}|{E2}|00000000000000000011"
    assert str(token_of(lineage, E2, 9)) == f"v1|{E2}||00000000000000000009"
