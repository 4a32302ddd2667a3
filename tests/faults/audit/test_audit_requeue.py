"""Dead letters that were sent again by the product's own job: ``audit.sql`` counts a key once."""

from pathlib import Path
from typing import Any

import pytest

from shipper.backfill.courier import Ending, Headway, Route
from shipper.backfill.requeue import choose, go
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Target
from tests.faults.audit.history import SPARE, History
from tests.faults.audit.table import Row, audit
from tests.tools.spools import HARDWARE


def requeue(life: History) -> None:
    """Send all dead letters again over a channel of their own; the shipper is stopped."""
    life.stop()
    ids = iter(range(10_000))
    with life.device.ledger() as ledger, life.device.reader() as spool:
        route = Route(
            Target("A", "DB", "SCHEMA", "PIPE"),
            f"{spool.install().install_id}_BACKFILL_{{n}}",
            life.transport,
            life.device.clock,
            HARDWARE,
            SPARE,
            Delays(lambda n: 1.0, lambda n: 15.0),
            lambda: f"again-{next(ids)}",
        )
        chosen = choose(ledger, spool, None)
        now_us = life.device.clock.realtime_ns() // 1000
        job = ledger.jobs.create_for_letters(chosen.letters, chosen.unsent, now_us)
        assert go(ledger, job, route, Headway()).ending is Ending.DONE


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """A table with a row refused at the door and one refused later, both sent again since."""
    root: Path = tmp_path_factory.mktemp("requeued")
    life = History(root)
    life.poisoned()
    life.take(30)
    life.take_bad()
    life.take(30)
    life.take_rejected()
    life.take(30)
    life.ship()
    assert audit(life.rows()).number("missing") == 1
    life.model.knobs.refuse_rules = life.model.knobs.row_rules = ()
    requeue(life)
    return life.rows()


def test_requeued_rows_close_their_holes_and_supersede_their_tombstones(rows: list[Row]) -> None:
    """Nothing is missing any more, no key counts twice, no tombstone stands alone."""
    answer = audit(rows)
    assert answer.clean, answer.unexplained
    assert answer.of("missing") == []
    assert (answer.number("tombstone"), answer.number("tombstones superseded")) == (0, 1)
    assert {line.level for line in answer.of("double")} == {"explained"}


def test_requeued_rows_without_their_flags_would_be_named(rows: list[Row]) -> None:
    """The other rows of a refused range are there twice: only the flag explains that."""
    plain: list[dict[str, Any]] = [{**row, "in_doubt": False} for row in rows]
    assert {line.finding for line in audit(plain).unexplained} >= {"double"}
