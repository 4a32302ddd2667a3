"""Every entry of the fault menu alone, wherever it can hit, for minutes; then everything heals."""

from pathlib import Path

import pytest

from tests.emulators.ingest.menu import MENU
from tests.faults.server.bench import Bench, Setting, bench
from tests.faults.server.cases import CASES, SIGN_IN, Case
from tests.faults.server.verdict import heal_and_judge

WARM_S = 40.0
FAULT_S = 420.0
PLACES = [(name, endpoint) for name, case in CASES.items() for endpoint in case.endpoints]


def strike(device: Bench, name: str, endpoint: str) -> Case:
    """Put the fault on, so that it is met at that endpoint: a sign-in happens at the start only."""
    case = CASES[name]
    if endpoint not in SIGN_IN:
        device.run(WARM_S)
    if endpoint == "open":
        device.add("invalidate")
    device.forget()
    device.add(case.spec(name, endpoint))
    return case


def test_the_cases_are_the_whole_menu() -> None:
    """An entry that is added to the menu must be put into the table."""
    assert CASES.keys() == MENU.keys()


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "endpoint"), PLACES)
def test_a_fault_for_minutes_costs_time_and_nothing_else(
    room: Path, ca_file: Path, name: str, endpoint: str
) -> None:
    """Nothing lost, doubled or out of order; no busy loop; the operator is told its name."""
    with bench(room, ca_file, Setting(sample_s=10.0, seed=7)) as device:
        case = strike(device, name, endpoint)
        device.run(FAULT_S)
        assert any(case.told(endpoint) in text for text in device.said), sorted(device.said)
        assert heal_and_judge(device, flagged=case.flagged) > 0
        assert device.exchange.hits.get(name, 0) > 0
