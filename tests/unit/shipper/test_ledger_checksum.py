"""Progress whose value has changed on the disk: no call reads it, and settling sets it aside."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import ship_progress
from common.database import SpoolCorrupt
from common.identity import Hardware, Install
from common.ship_progress import progress_crc
from common.ship_state import Acknowledgement, Mark, ShipStateUnreadable, read_ship_state
from shipper.ledger import Ledger, Settling
from shipper.progress import Progress
from tests.tools.spools import opened, prepare_quickly

INSTALL = Install("A1" * 8, Hardware("board", "card"))
EPOCHS = ("ee" * 8, "f0" * 8)
HERE = Acknowledgement("v1|token", EPOCHS[0], 300)

Call = Callable[[Ledger], object]

numbers = st.integers(0, (1 << 63) - 1)
epochs = st.sampled_from(EPOCHS)
marks = st.none() | st.builds(Mark, epochs, numbers)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _acknowledge(
    token: str | None, place: Mark, counts: tuple[int, int], doubt: Mark | None
) -> Call:
    return lambda ledger: ledger.acknowledge(
        Acknowledgement(token, *place), rows_inserted=counts[0], rows_error=counts[1],
        in_doubt=doubt,
    )


def _retarget(target: str, created: int | None, doubt: Mark | None, count: int) -> Call:
    return lambda ledger: ledger.retarget(target, created, doubt, rows_inserted=count)


def _expose(place: Mark) -> Call:
    return lambda ledger: ledger.expose(*place)


calls: st.SearchStrategy[Call] = st.one_of(
    st.builds(_expose, st.builds(Mark, epochs, numbers)),
    st.builds(
        _acknowledge, st.none() | texts, st.builds(Mark, epochs, numbers),
        st.tuples(numbers, numbers), marks,
    ),
    st.builds(_retarget, texts, st.none() | numbers, marks, numbers),
    st.just(lambda ledger: ledger.settle(INSTALL, 0)),
    st.just(lambda ledger: ledger.close()),
)


def _stored(directory: Path) -> tuple[object, ...] | None:
    with closing(sqlite3.connect(directory / "ship.db")) as connection:
        row: tuple[object, ...] | None = connection.execute("SELECT * FROM progress").fetchone()
    return row


def _flip(directory: Path, sql: str = "acknowledged_seq = acknowledged_seq + 16") -> None:
    with closing(sqlite3.connect(directory / "ship.db")) as connection:
        assert connection.execute(f"UPDATE progress SET {sql}").rowcount == 1
        connection.commit()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A settled ledger with an acknowledgement."""
    made = opened(Ledger(tmp_path, prepared=prepare_quickly))
    made.settle(INSTALL, 0)
    made.expose(EPOCHS[0], 340)
    made.acknowledge(HERE, rows_inserted=300, rows_error=0)
    return made


@given(st.lists(calls, max_size=8))
@settings(max_examples=30, deadline=None)
def test_after_any_calls_the_checksum_fits(made: list[Call]) -> None:
    """Whatever is written, in whatever order: the row is sealed, and both sides read it."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with Ledger(place, prepared=prepare_quickly) as ledger:
            ledger.settle(INSTALL, 0)
            for call in made:
                call(ledger)
                row = _stored(place)
                assert row is None or row[-1] == progress_crc(row[:-1])
                state = read_ship_state(place)
                assert state is not None
                assert state.acknowledged == ledger.progress().acknowledged
                assert state.exposed == ledger.progress().exposed


def test_every_call_refuses_a_changed_value(ledger: Ledger, tmp_path: Path) -> None:
    """Neither read nor sealed over: the file stays as it is until it is settled anew."""
    _flip(tmp_path)
    flipped = _stored(tmp_path)
    for call in (
        ledger.progress,
        lambda: ledger.expose(EPOCHS[0], 1),
        lambda: ledger.expose(EPOCHS[0], 900),
        lambda: ledger.acknowledge(HERE, rows_inserted=1, rows_error=0),
        lambda: ledger.retarget("t", 1, None),
    ):
        with pytest.raises(SpoolCorrupt, match="checksum"):
            call()
    assert _stored(tmp_path) == flipped


def test_settling_sets_the_file_aside(ledger: Ledger, tmp_path: Path) -> None:
    """As any damaged one, at a start and when the gate settles anew; then the server is asked."""
    _flip(tmp_path)
    with pytest.raises(ShipStateUnreadable):
        read_ship_state(tmp_path)
    assert ledger.settle(INSTALL, 0) is Settling.CREATED
    assert ledger.progress() == Progress()
    assert len(list((tmp_path / "aside").glob("*-ship-damaged/ship.db"))) == 1
    state = read_ship_state(tmp_path)
    assert state is not None
    assert state.acknowledged is None


def test_an_unchanged_file_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    """The control of the check itself: what fits is not set aside."""
    assert ledger.settle(INSTALL, 0) is Settling.CONTINUED
    assert ledger.progress().acknowledged == HERE
    assert not (tmp_path / "aside").exists()


def test_negative_control_without_the_check_the_value_is_sealed(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next write makes the flipped seq a licence that no later check can doubt."""
    _flip(tmp_path)
    with monkeypatch.context() as blind:
        blind.setattr(ship_progress, "CRC_VERSION", 9)
        assert ledger.settle(INSTALL, 0) is Settling.CONTINUED
        ledger.expose(EPOCHS[0], 900)
    state = read_ship_state(tmp_path)
    assert state is not None
    assert state.acknowledged == Acknowledgement("v1|token", EPOCHS[0], 316)
