"""A spool that is quarantined under a running shipper: nothing overtakes its salvaged rows."""

import json
from dataclasses import replace

import pytest

from collector.spool.salvage import Task
from common.identity import Position
from tests.model.rig import EPOCHS, Rig


def rows(rig: Rig) -> list[dict[str, object]]:
    """The table."""
    return [json.loads(text) for text in rig.committed]


def keys(rig: Rig) -> list[tuple[object, object]]:
    """Epoch and seq of the table's rows, in order."""
    return [(row["epoch"], row["seq"]) for row in rows(rig)]


def test_in_a_session_nothing_is_sent_before_the_salvage_ended() -> None:
    """Rows that come back late would lie behind what was sent already, and never be sent."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    rig.take(2)
    sound = rig.spool.rows
    task = Task("aside", 4, 5, [])
    rig.spool.write(replace(rig.spool.state, rows=(), salvage=(sound[-2:], task)))
    rig.spool.write(rig.spool.state.with_epoch(EPOCHS[1], rig.clock.boot, 1_000_006, 5))
    rig.take(3)
    rig.run(60)
    assert keys(rig) == [(EPOCHS[0], seq) for seq in (1, 2, 3)]
    assert "salvaged" in rig.drain.reason
    carried = (*sound[-2:], *rig.spool.rows)
    rig.spool.write(replace(rig.spool.state, rows=carried, salvage=None))
    rig.until(rig.home)
    assert keys(rig)[3:5] == [(EPOCHS[0], 4), (EPOCHS[0], 5)]
    assert keys(rig)[5:] == [(EPOCHS[1], 1_000_006 + n) for n in range(3)]


def test_while_an_open_is_decided_it_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lineage is read, then the collector begins an epoch: places of both do not mix."""
    rig = Rig()
    rig.take(5)
    sound, real = rig.spool.rows, rig.spool.newest

    def newest() -> Position | None:
        monkeypatch.undo()
        task = Task("aside", 1, 5, [])
        rig.spool.write(replace(rig.spool.state, rows=(), salvage=(sound, task)))
        rig.spool.write(rig.spool.state.with_epoch(EPOCHS[1], rig.clock.boot, 1_000_006, 5))
        rig.take(2)
        return real()

    monkeypatch.setattr(rig.spool, "newest", newest)
    rig.run(60)
    assert keys(rig) == []
    assert rig.watcher.counts["alarm spool_changed"] == 1
    rig.spool.write(replace(rig.spool.state, rows=(*sound, *rig.spool.rows), salvage=None))
    rig.until(rig.home)
    assert [seq for _, seq in keys(rig)] == [1, 2, 3, 4, 5, 1_000_006, 1_000_007]
    assert {row["in_doubt"] for row in rows(rig)} == {False}
