"""Every setting is declared once, documented everywhere, and read by the code."""

import ast
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from common import config
from common.config_check import TABLES, bounds
from common.settings import PRESETS, Bound, Form, Settings
from tests.repo.source import ROOT, python_files
from tests.tools.reference_docs import PAGES

_EXAMPLE = ROOT / "deploy" / "systemd" / "thermal.example.toml"
_READERS = {
    "device": ("collector", "common", "shipper"),
    "spool": ("collector", "common", "shipper"),
    "collector": ("collector",),
    "shipper": ("shipper",),
    "snowflake": ("shipper",),
}
"""Who reads a table; two tables have keys of the same name, so it matters."""

_DECLARING = {"config.py", "config_check.py", "settings.py"}


@pytest.mark.parametrize("name", PAGES)
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    """``make docs`` was run after the last change of a setting or column."""
    assert (ROOT / name).read_text() == PAGES[name]()


def test_every_table_of_settings_is_checked() -> None:
    """``Settings`` and the checker know the same tables."""
    assert [f.name for f in fields(Settings)][1:] == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_each_setting_has_meaning_bound_and_default(table: str) -> None:
    """A number has both ends and, unless it is a port, a unit; a default keeps its own bound."""
    for name, (bound, default) in bounds(TABLES[table]).items():
        assert bound.help.endswith("."), name
        if isinstance(default, int | float):
            assert bound.low is not None
            assert bound.high is not None
            assert bound.low <= default <= bound.high
            assert bound.unit or name.endswith("_port") or bound.form is Form.I2C_BUS, name


def _example(text: str) -> dict[str, set[str]]:
    """Table → keys of a file in which every ``#key = …`` counts as set."""
    found: dict[str, set[str]] = {}
    for table, keys in tomllib.loads(_uncommented(text)).items():
        found[table] = set(keys) if isinstance(keys, dict) else set()
    return found


def _uncommented(text: str) -> str:
    return re.sub(r"(?m)^#(\w+ = )", r"\1", text)


def test_the_example_names_every_setting() -> None:
    """Nothing is missing, nothing is left over; a missing key would be seen."""
    declared = {table: set(bounds(kind)) for table, kind in TABLES.items()}
    text = _EXAMPLE.read_text()
    assert _example(text) == {"preset": set(), **declared}
    assert _example(text.replace("#batch_size", "#batchsize")) != {"preset": set(), **declared}


@pytest.mark.parametrize("change", [str, _uncommented], ids=["as it is", "all keys set"])
def test_the_example_is_valid_and_shows_the_defaults(change: type[str], tmp_path: Path) -> None:
    """A copy of it can be started from, and removing the # of a line changes nothing."""
    path = tmp_path / "thermal.toml"
    path.write_text(change(_EXAMPLE.read_text()))
    assert config.load(path) == Settings(source=path)


def test_the_presets_are_those_of_the_documentation() -> None:
    """The table in docs/settings.md has a line for each preset."""
    page = (ROOT / "docs" / "settings.md").read_text()
    assert all(f"| `{name}` |" in page for name in PRESETS)


def _attributes(files: list[Path]) -> set[str]:
    return {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_is_read_by_some_code(table: str) -> None:
    """A setting that nothing reads is a promise that nothing keeps."""
    files = [p for p in python_files(*_READERS[table]) if p.name not in _DECLARING]
    # align is read as seconds.
    read = {name.replace("align_s", "align") for name in _attributes(files)}
    assert set(bounds(TABLES[table])) - read == set()
    assert {"planted_setting"} - read == {"planted_setting"}


def test_a_bound_can_be_read_from_every_field() -> None:
    """A field made without ``_setting`` would have no documentation."""
    for kind in TABLES.values():
        for field in fields(kind):
            assert isinstance(field.metadata.get("bound"), Bound), field.name
