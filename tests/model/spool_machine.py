"""A spool on a real disk and the list it must agree with; see ``tests.model.test_spool``."""

import contextlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from common.database import SpoolFull
from common.identity import Position
from common.ship_state import Acknowledgement
from common.spool.row import NewRow, StoredRow
from tests.tools.spools import Device, damage, drain, forget_clean_stop, leaf_pages, sample, value

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Backup:
    """A copy of the directory, and what the list was then."""

    device: Device
    stored: dict[Key, NewRow]
    gone: set[Key]
    exposed: Key | None
    acknowledged: Key | None


class SpoolModel(RuleBasedStateMachine):
    """One device, its spool, and the list."""

    ended = 0
    """How many histories came to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.ever: set[Key] = set()
        self.damaged = False
        self.backup: _Backup | None = None
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.device = Device(self.root / "0")
        self.lives = 0
        self.taken = 0
        self.stored: dict[Key, NewRow] = {}
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
            self._note_stored(seq, row)

    def _note_stored(self, seq: int, row: NewRow) -> None:
        key = (self.store.epoch, seq)
        assert key not in self.ever, "a key names two samples"
        self.ever.add(key)
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

    def _note_trimmed(self, *, including: bool = False) -> None:
        """Committed rows may go, but for the newest; a new file takes over none of them."""
        if self.acknowledged is not None:
            limit = self._order(self.acknowledged)
            self.gone |= {key for key in self.stored if self._order(key) < limit}
            self.gone |= {self.acknowledged} if including else set()

    @rule(pages=st.integers(1, 3))
    def thin(self, pages: int) -> None:
        """A thinning pass over what was never exposed."""
        after = 0 if self.exposed is None else self.exposed[1]
        before = self._samples()
        done = thin(self.store, after, pages)
        if done is None:
            return
        lost = before.keys() - self._samples().keys()
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

    @rule()
    def checkpoint(self) -> None:
        """The log is emptied into the file."""
        with self.store.reading("checkpoint") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @rule(count=st.integers(1, 400))
    def append_without_room(self, count: int) -> None:
        """The file may not grow: a group is stored whole or not at all, and the next one is."""
        with self.store.reading("room") as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
        with contextlib.suppress(SpoolFull):
            self.append(count)
        with self.store.reading("room") as connection:
            connection.execute("PRAGMA max_page_count=1000000").fetchall()
        self.append(1)

    @rule(seconds=st.sampled_from((-1e9, -3600.0, -0.5, 0.5, 3600.0, 1e9)))
    def step_clock(self, seconds: float) -> None:
        """The wall clock steps: order and identity do not care."""
        self.device.clock.step(seconds)

    @precondition(lambda self: not self.damaged)
    @rule(share=st.floats(0, 1))
    def corrupt(self, share: float) -> None:
        """A page of the stopped file is overwritten: what it held is lost, and a gap row tells.

        Once in a history: looking for rows across the leap of seq takes its time.
        """
        self.damaged = True
        self.store.close()
        self.ledger.close()
        path = self.device.directory / "spool.db"
        pages = leaf_pages(path)
        if pages:
            page = pages[round(share * (len(pages) - 1))]
            forget_clean_stop(self.device)
            damage(path, range(page, page + 1))
        self.store = self.device.start()
        self._ship()
        upkeep = Upkeep(self.store)
        while upkeep.run().salvaging:
            pass
        self._note_trimmed(including=True)
        self._note_told_lost()

    def _note_told_lost(self) -> None:
        """Rows may only be missing if a gap row tells of their numbers."""
        told = [
            (detail["first_seq"], detail["last_seq"])
            for detail in self._gaps()
            if detail["reason"] == "quarantine"
        ]
        for key in self._live():
            if key not in self._samples():
                assert any(low <= key[1] <= high for low, high in told), f"{key} is untold"
                self.gone.add(key)

    @rule()
    def back_up(self) -> None:
        """Somebody copies the whole directory, between two transactions."""
        self.lives += 1
        device = self.device.copy(self.root / str(self.lives))
        facts = (dict(self.stored), set(self.gone), self.exposed, self.acknowledged)
        self.backup = _Backup(device, *facts)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def put_back(self) -> None:
        """The copy is put back within the same boot: what was stored since then is lost."""
        assert self.backup is not None
        self.store.close()
        self.ledger.close()
        shutil.rmtree(self.device.directory)
        shutil.copytree(self.backup.device.directory, self.device.directory)
        self.stored, self.gone = dict(self.backup.stored), set(self.backup.gone)
        self.exposed, self.acknowledged = self.backup.exposed, self.backup.acknowledged
        self.store = self.device.start()
        self._ship()

    def _samples(self) -> dict[Key, NewRow]:
        """Samples that can be read, by key."""
        rows = self._read()
        return {(r.origin.epoch, r.seq): r.values for r in rows if value(r, "kind") == "sample"}

    def _gaps(self) -> list[dict[str, Any]]:
        """Details of the gap rows that can be read."""
        rows = self._read()
        return [json.loads(str(value(r, "detail"))) for r in rows if value(r, "kind") == "gap"]

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
        told = [d.get("merged") or {d["reason"]: d["count"]} for d in self._gaps()]
        thinned = [d.get(reason) or 0 for d in told for reason in ("thinned", "dropped")]
        assert sum(thinned) <= self.told
        assert self.store.last_seq >= max((seq for _, seq in self.stored), default=0)

    def teardown(self) -> None:
        """Give the disk back."""
        if hasattr(self, "store"):
            self.store.close()
            self.ledger.close()
        shutil.rmtree(self.root)
        SpoolModel.ended += 1
