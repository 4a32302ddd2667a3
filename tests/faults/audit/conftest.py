"""What the audit's tests share: one device's whole life, lived once."""

from pathlib import Path

import pytest

from tests.faults.audit.history import History, whole_life
from tests.faults.audit.table import Row


@pytest.fixture(scope="package")
def life(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The device after its life, its services stopped; tests copy what they change."""
    root: Path = tmp_path_factory.mktemp("life")
    return whole_life(root)


@pytest.fixture(scope="package")
def table(life: History) -> list[Row]:
    """Its committed rows, in the order of their commits."""
    return life.rows()
