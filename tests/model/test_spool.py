"""The spool against a plain list: any order of appends, trims, thinnings, restarts and cuts.

The model is a list of (epoch, seq, values) in order, and what has gone out of it. The rules act on
the real store, reader and ledger on a real disk; after each step the list and the spool must agree.
Impossible sequences are left out by preconditions: the server cannot commit what was not exposed,
and what is exposed was read before.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from collector.spool import licence, thinning
from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from common.identity import Lineage, Position
from common.ship_state import Acknowledgement
from common.spool import reader as reader_module
from common.spool.row import StoredRow
from tests.tools.spools import Device, drain, sample, value

Key = tuple[str, int]


class SpoolModel(RuleBasedStateMachine):
    """One device, its spool, and the list."""

    ended = 0
    """How many histories came to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.device = Device(self.root / "0")
        self.lives = 0
        self.taken = 0
        self.stored: dict[Key, object] = {}
        self.gone: set[Key] = set()
        self.told = 0
        self.exposed: Key | None = None
        self.acknowledged: Key | None = None

    @initialize()
    def first_start(self) -> None:
        """The collector starts; the shipper follows."""
        self.store = self.device.start()
        self._ship()

    def _ship(self) -> None:
        self.ledger = self.device.ledger()
        self.ledger.settle(self.store.install, self.device.clock.realtime_ns())

    @rule(count=st.integers(1, 60))
    def append(self, count: int) -> None:
        """Samples are stored in one group."""
        rows = [sample(self.taken + i) for i in range(count)]
        self.taken += count
        for seq, row in zip(self.store.append(rows), rows, strict=True):
            key = (self.store.epoch, seq)
            assert key not in self.stored, "a key names two samples"
            self.stored[key] = row

    def _live(self) -> list[Key]:
        return [key for key in self.stored if key not in self.gone]

    @precondition(lambda self: self._live())
    @rule(share=st.floats(0, 1))
    def expose(self, share: float) -> None:
        """The shipper stores how far rows may have left, never backwards."""
        live = self._live()
        key = live[round(share * (len(live) - 1))]
        if self.exposed is None or self._order(key) > self._order(self.exposed):
            self.ledger.expose(*key)
            self.exposed = key

    @precondition(lambda self: self.exposed is not None)
    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        """The server has committed up to some exposed row."""
        assert self.exposed is not None
        limit = self._order(self.exposed)
        known = [key for key in self.stored if self._order(key) <= limit]
        key = known[round(share * (len(known) - 1))]
        if self.acknowledged is None or self._order(key) > self._order(self.acknowledged):
            self.ledger.acknowledge(Acknowledgement("token", *key), rows_inserted=0, rows_error=0)
            self.acknowledged = key

    @rule()
    def upkeep(self) -> None:
        """Whatever is due: here it trims."""
        Upkeep(self.store).run()
        self._note_trimmed()

    def _note_trimmed(self) -> None:
        if self.acknowledged is not None:
            limit = self._order(self.acknowledged)
            self.gone |= {key for key in self.stored if self._order(key) < limit}

    @rule(pages=st.integers(1, 3))
    def thin(self, pages: int) -> None:
        """A thinning pass over what was never exposed."""
        after = 0 if self.exposed is None else self.exposed[1]
        done = thin(self.store, after, pages)
        if done is None:
            return
        present = {(r.origin.epoch, r.seq) for r in self._read() if value(r, "kind") == "sample"}
        lost = {key for key in self._live() if key not in present}
        assert len(lost) == done.rows
        assert all(self.exposed is None or self._order(k) > self._order(self.exposed) for k in lost)
        self.gone |= lost
        self.told += len(lost)

    @rule(clean=st.booleans(), boot=st.booleans())
    def restart(self, clean: bool, boot: bool) -> None:
        """The collector ends, by SIGTERM or by a power cut, and starts again."""
        if clean:
            self.store.close()
        else:
            self._cut()
        if boot:
            self.device.reboot()
        self.ledger.close()
        self.store = self.device.start()
        self._ship()

    def _cut(self) -> None:
        """Go on with the files as they are at this instant; the old processes are gone."""
        self.lives += 1
        self.device = self.device.copy(self.root / str(self.lives))
        self.store.close()

    @rule(rows_max=st.integers(1, 50), seq=st.integers(0, 200))
    def read_after(self, rows_max: int, seq: int) -> None:
        """A read from anywhere returns the next rows of one epoch, in order."""
        lineage = self.store.lineage()
        for epoch in lineage.epochs:
            after = Position(epoch.order, seq)
            with self.device.reader() as reader:
                rows = reader.read_after(after, rows_max)
            expected = [r for r in self._read() if r.position > min(after, epoch.end)][:rows_max]
            expected = [r for r in expected if r.origin.epoch == expected[0].origin.epoch]
            assert rows == expected

    def _read(self) -> list[StoredRow]:
        with self.device.reader() as reader:
            return drain(reader, batch=64)

    def _order(self, key: Key) -> Position:
        position = self.store.lineage().position(*key)
        assert position is not None
        return position

    @invariant()
    def list_and_spool_agree(self) -> None:
        """Each row that has not gone is there, as it was, in order, and gap rows beside."""
        if not hasattr(self, "store"):
            return
        rows = self._read()
        assert [r.position for r in rows] == sorted(r.position for r in rows)
        assert all(r.intact for r in rows)
        found = {(r.origin.epoch, r.seq): r.values for r in rows if value(r, "kind") == "sample"}
        assert {k: v for k, v in found.items() if k not in self.gone} == {
            k: self.stored[k] for k in self._live()
        }
        details = [json.loads(str(value(r, "detail"))) for r in rows if value(r, "kind") == "gap"]
        assert sum(d["count"] for d in details) <= self.told
        assert self.store.last_seq >= max((seq for _, seq in self.stored), default=0)

    def teardown(self) -> None:
        """Give the disk back."""
        if hasattr(self, "store"):
            self.store.close()
            self.ledger.close()
        shutil.rmtree(self.root)
        SpoolModel.ended += 1


SETTINGS = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CONTROL = settings(SETTINGS, phases=[Phase.generate], print_blob=False, report_multiple_bugs=False)


def test_the_spool_agrees_with_a_list() -> None:
    """Whatever is done in whatever order, list and spool agree."""
    SpoolModel.ended = 0
    run_state_machine_as_test(SpoolModel, settings=SETTINGS)
    assert SpoolModel.ended >= SETTINGS.max_examples


def _generous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trim a little further than the acknowledgement."""
    real = licence.licence

    def more(lineage: Lineage, *acknowledgements: Acknowledgement | None) -> licence.Licence:
        granted = real(lineage, *acknowledgements)
        return licence.Licence(granted.acknowledgement, granted.through + 5)

    monkeypatch.setattr(licence, "licence", more)


def _thin_exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thin from the oldest row on, exposed or not."""
    monkeypatch.setattr(thinning, "_resume", lambda connection, after: (2, 0))


def _forget_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete a stretch whole and store the kept rows again, but for the last of them."""
    real = thinning._replace
    monkeypatch.setattr(
        thinning, "_replace", lambda connection, rows, kept: real(connection, rows, kept[:-1])
    )


def _seq_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read after a seq, whatever its epoch."""
    monkeypatch.setattr(
        reader_module, "_clamped", lambda connection, position: position.seq if position else 0
    )


@pytest.mark.parametrize("plant", [_generous, _thin_exposed, _forget_kept, _seq_alone])
def test_planted_mistakes_are_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative controls: each of these mistakes is found within the same number of examples."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(SpoolModel, settings=CONTROL)
