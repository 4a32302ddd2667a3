"""The house rules hold for every file, and each rule finds what it is for."""

import sys
import tomllib
from pathlib import Path

import pytest

from tests.repo import rules
from tests.repo.source import PRODUCT, ROOT, python_files, relative, text_files

_PRODUCT_FILES = python_files(*PRODUCT)
_TEST_FILES = python_files("tests")


def _id(value: object) -> str:
    return relative(value) if isinstance(value, Path) else str(getattr(value, "__name__", value))


def _findings(rule: rules.Rule, files: list[Path]) -> dict[str, list[str]]:
    found = {}
    for path in files:
        try:
            what = rule(relative(path), path.read_text())
        except SyntaxError as error:
            what = [f"line {error.lineno}: Python {sys.version.split()[0]} cannot read it"]
        if what:
            found[relative(path)] = what
    return found


@pytest.mark.parametrize("rule", rules.PRODUCT_RULES, ids=_id)
def test_the_product_keeps_the_rule(rule: rules.Rule) -> None:
    """All files of the three packages, one rule at a time."""
    assert len(_PRODUCT_FILES) > 20
    assert _findings(rule, _PRODUCT_FILES) == {}


@pytest.mark.parametrize("rule", rules.TEST_RULES, ids=_id)
def test_the_tests_keep_the_rule(rule: rules.Rule) -> None:
    """All files of the tests, one rule at a time."""
    assert len(_TEST_FILES) > 20
    assert _findings(rule, _TEST_FILES) == {}


def test_no_file_has_an_unwelcome_word() -> None:
    """Code, docs, units and locks alike."""
    files = text_files()
    assert ROOT / "Makefile" in files
    assert ROOT / ".ci" / "run" in files
    found = {relative(p): rules.unwelcome_words("", p.read_text()) for p in files}
    assert {path: what for path, what in found.items() if what} == {}


_TEST = "def test_x():\n    "


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (rules.long_file, "\n" * 300, "\n" * 301),
        (rules.long_function, "def f():\n" + " x\n" * 69, "def f():\n" + " x\n" * 70),
        (
            rules.many_parameters,
            "def f(self, a, b, c, d, e, *, f): ...",
            "def f(a, b, c, d, e, f, g): ...",
        ),
        (rules.prints, "log.info('print')", "if x:\n    print(1)"),
        (rules.sleeps, "clock.sleep(1)", "time.sleep(1)"),
        (rules.bare_excepts, "try: x\nexcept E: y", "try: x\nexcept: y"),
        (rules.undocumented, '"M."\nclass _A:\n  def f(self): ...', '"M."\nclass A: ...'),
        (rules.undocumented, '"M."\ndef f():\n  "F."', "def _f(): ..."),
        (rules.undocumented, '"M."', '"M."\nclass A:\n  "A."\n  def f(self): ...'),
        (rules.undocumented_test, _TEST + '"T."', _TEST + "assert 1"),
        (rules.assertless_test, _TEST + "assert 1", _TEST + "run()"),
        (rules.assertless_test, _TEST + "with pytest.raises(E): f()", _TEST + "f.raised()"),
        (rules.misplaced_import, "import requestsx", "def f():\n  from requests import get"),
        (rules.misplaced_import, "import json", "import tests.emulators"),
        (rules.misplaced_import, "import sqlite3", "import prometheus_client.core"),
        (rules.unwelcome_words, "a todo list", "# TO" + "DO: later"),
        (rules.unwelcome_words, "/var/lib/thermal", "see /ro" + "ot/x"),
        (rules.unwelcome_words, "https://x.org/a", "--index https://h.example/sim" + "ple"),
    ],
)
def test_each_rule_finds_a_planted_mistake(rule: rules.Rule, good: str, bad: str) -> None:
    """The negative control: a rule that finds nothing would keep nothing tidy."""
    assert rule("shipper_/x.py", good) == []
    assert rule("shipper_/x.py", bad) != []


def test_the_runtime_packages_are_the_chosen_ones() -> None:
    """Nothing else is installed on a Pi without a reason in docs/architecture.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {line.partition(">=")[0].lower() for line in project["dependencies"]}
    assert names == {
        "cryptography", "prometheus-client", "pyjwt", "requests", "sdnotify", "smbus2",
        "sqlite-utils", "tenacity",
    }


@pytest.mark.parametrize("name", ["requirements-build.lock", "requirements.lock"])
def test_the_lock_pins_every_package_by_hash(name: str) -> None:
    """pip --require-hashes refuses anything else; and no registry is named."""
    text = (ROOT / name).read_text()
    blocks = [b for b in text.replace(" \\\n", "").splitlines() if b and not b.startswith(" ")]
    assert blocks
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "http" not in text


def test_development_has_the_runtime_pins() -> None:
    """What is tested is what is installed: both locks name the same versions."""

    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split()[0] for line in lines if line and line[0].isalpha()}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
    assert pins("requirements-build.lock") <= pins("requirements-dev.lock")
