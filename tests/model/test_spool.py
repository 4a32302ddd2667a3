"""The spool against a plain list: any order of appends, trims, thinnings, restarts and cuts.

The model is a list of (epoch, seq, values) in order, and what has gone out of it. The rules act on
the real store, reader and ledger on a real disk; after each step the list and the spool must agree.
Impossible sequences are left out by preconditions: the server cannot commit what was not exposed,
and what is exposed was read before.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from collector.spool import licence, thinning
from common.identity import Lineage
from common.ship_state import Acknowledgement
from common.spool import reader as reader_module
from tests.model.spool_machine import SpoolModel

SETTINGS = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CONTROL = settings(
    SETTINGS,
    max_examples=150,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
)


@pytest.mark.timeout(300)
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plant", [_generous, _thin_exposed, _forget_kept, _seq_alone])
def test_planted_mistakes_are_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative controls: each of these mistakes is found within the same number of examples."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(SpoolModel, settings=CONTROL)
