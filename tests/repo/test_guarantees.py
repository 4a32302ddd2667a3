"""Every promise in docs/guarantees.md names the test that shows it, and the test is there."""

from typing import Final

from tests.repo.guarantees import PAGE, Row, rows, wrong_with

FAILURES: Final = 134
"""How many failures the page goes through, each under its number."""


def test_every_failure_has_a_row() -> None:
    """The numbers are there once each, in order."""
    assert [int(row.number) for row in rows(PAGE.read_text())] == list(range(1, FAILURES + 1))


def test_every_row_names_its_test_or_says_why_there_is_none() -> None:
    """A promise without a test is a wish."""
    found = [text for row in rows(PAGE.read_text()) for text in wrong_with(row)]
    assert found == []


def test_the_checks_find_planted_mistakes() -> None:
    """Negative control: a test that is not there, a missing cell, an empty reason."""
    here = "`tests/repo/test_guarantees.py::test_every_failure_has_a_row`"
    good = Row("1", "a", "b", "c", "d", here)
    assert wrong_with(good) == []
    for shown_by in (
        "`tests/repo/test_guarantees.py::test_planted`", "`tests/repo/planted.py::test_x`",
        "believe me", "not tested: soon",
    ):
        assert wrong_with(Row("1", "a", "b", "c", "d", shown_by)) != []
    assert wrong_with(Row("1", "a", "", "c", "d", here)) != []
    assert rows("| 7 | a | b | c | d | e |\n| No. | x |") == [Row("7", "a", "b", "c", "d", "e")]
    assert wrong_with(rows("| 7 | a | b |")[0]) != []
