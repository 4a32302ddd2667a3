"""Imports go in one direction, and what must be light or pure stays so."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.source import PRODUCT, ROOT


def lint_imports(directory: Path) -> tuple[int, str]:
    """Run import-linter over a checkout; its status and what it said."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-logo", "--no-cache"],
        cwd=directory, capture_output=True, text=True, check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the product in which a mistake can be planted."""
    for name in PRODUCT:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_all_contracts_are_kept() -> None:
    """The layers are those of docs/architecture.md."""
    status, said = lint_imports(ROOT)
    assert status == 0, said
    assert ", 0 broken" in said


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("common/errors.py", "import collector", "What both share knows neither"),
        ("common/sample.py", "import common.logs", "Layers of common"),
        ("common/new_module.py", "", "common.new_module"),
        ("collector/health.py", "import collector.sampling", "Layers of the collector"),
        ("collector/host.py", "import shipper.protocol", "The services do not know each other"),
        ("collector/sampling.py", "import requests", "The collector has no network client"),
        ("collector/sampling.py", "import collector.bus.linux", "name the real bus"),
        ("collector/drivers/scd4x.py", "import time", "A driver knows only the bus"),
        ("shipper/protocol/token.py", "import os", "The protocol knows no network"),
        ("shipper/protocol/batch.py", "import common.clock", "The protocol knows no network"),
        ("shipper/feed.py", "import shipper.transport", "The drain knows its ports"),
        ("collector/station.py", "import sqlite3", "Sampling hands rows over in memory"),
        ("shipper/protocol/errors.py", "import shipper.auth", "Layers of the shipper"),
    ],
)
def test_a_planted_import_breaks_its_contract(
    checkout: Path, file: str, line: str, contract: str
) -> None:
    """The negative control, one for each contract."""
    path = checkout / file
    text = path.read_text() if path.exists() else '"""New."""\n'
    path.write_text(f"{text}\n{line}\n")
    status, said = lint_imports(checkout)
    assert status == 1, said
    broken = [part for part in said.splitlines() if "BROKEN" in part or "new_module" in part]
    assert any(contract in part for part in broken), said


_LOADED = """\
import sys
sys.path.insert(0, sys.argv[1])
import {module}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def _loaded(module: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _LOADED.format(module=module), str(ROOT)],
        capture_output=True, text=True, check=True,
    )
    return set(done.stdout.split())


_HEAVY = {"cryptography", "jwt", "requests", "urllib3", "tenacity", "sqlite_utils", "asyncio"}


def test_the_collector_starts_without_heavy_packages() -> None:
    """On a Pi with 512 MB every import counts; the shipper's transport shows what would be seen."""
    assert _loaded("collector.app") & _HEAVY == set()
    assert "requests" in _loaded("requests")


@pytest.mark.parametrize("module", ["collector.cli", "shipper.cli"])
def test_help_and_version_are_quick(module: str) -> None:
    """``--help`` and ``--version`` import neither the service nor its packages."""
    assert _loaded(module) & (_HEAVY | {"prometheus_client", "smbus2", "sqlite3"}) == set()
