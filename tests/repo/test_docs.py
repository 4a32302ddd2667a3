"""What the documentation names is there."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from common.errors import ExitCode
from tests.repo.source import ROOT, relative, text_files

_PAGES = [path for path in text_files() if path.suffix == ".md"]
_README = ROOT / "README.md"


def targets(makefile: str) -> set[str]:
    """The targets that ``make help`` shows."""
    return set(re.findall(r"(?m)^([a-z-]+):.*## ", makefile))


def named_targets(page: str) -> set[str]:
    """The targets that a page tells its reader to make: in code, not in prose."""
    code = re.findall(r"(?m)`make ([a-z-]+)[ `]|^make ([a-z-]+)\b|&& make ([a-z-]+)\b", page)
    return {name for groups in code for name in groups if name}


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [x for x in links if "://" not in x and not (page.parent / x).exists()]


@cache
def help_of(program: str, *words: str) -> str:
    """What ``program words… --help`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", program.removeprefix("thermal-"), *words, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    return done.stdout if done.returncode == 0 else ""


def unknown_commands(text: str) -> list[str]:
    """Commands in code that the program's ``--help`` does not know, and their unknown flags."""
    found = []
    pattern = r"(thermal-(?:collector|shipper)) ([a-z][a-z-]+)((?: [-A-Za-z0-9_./=]+)*)"
    for program, command, rest in re.findall(pattern, _code(text)):
        said = help_of(program, command)
        flags = re.findall(r"--[a-z-]+", rest)
        if not said or any(flag not in said for flag in flags):
            found.append(f"{program} {command}{rest}")
    return found


def _code(text: str) -> str:
    """Only what stands in fences and backquotes."""
    return "\n".join(re.findall(r"(?s)```.*?```|`[^`\n]+`", text))


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_make_targets_named_in_a_page_exist(page: Path) -> None:
    """A reader can type what he reads."""
    known = targets((ROOT / "Makefile").read_text())
    assert {"demo", "test", "check", "help"} <= known
    assert named_targets(page.read_text()) - known == set()


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links point to files of this repository."""
    assert broken_links(page, page.read_text()) == []


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_commands_named_in_a_page_exist(page: Path) -> None:
    """Every subcommand and flag in code is in the program's own help."""
    assert unknown_commands(page.read_text()) == []


def test_the_page_checks_find_planted_mistakes() -> None:
    """The negative control of the three tests above."""
    assert named_targets("Run `make planted` now") == {"planted"}
    assert named_targets("what people make now") == set()
    assert broken_links(_README, "[x](docs/planted.md) [y](https://a.example/b)") == [
        "docs/planted.md"
    ]
    assert unknown_commands("`thermal-shipper planted`") == ["thermal-shipper planted"]
    assert unknown_commands("`thermal-shipper run --planted`") == ["thermal-shipper run --planted"]
    assert unknown_commands("`thermal-shipper run --config x`") == []


def test_make_alone_teaches() -> None:
    """``make`` lists every documented target, and does nothing else."""
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    shown = set(re.findall(r"(?m)^  make ([a-z-]+) ", done.stdout))
    assert shown == targets((ROOT / "Makefile").read_text())


def test_the_demo_gets_its_length_only_from_make() -> None:
    """SECONDS of the shell, which bash counts up, does not leak in; on make's line it counts."""
    for words, seconds in (((), "60"), (("SECONDS=7",), "7")):
        done = subprocess.run(
            ["make", "--no-print-directory", "-n", "demo", *words],
            cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "SECONDS": "123"},
        )
        assert done.stdout.splitlines()[-1].endswith(f"--kills 6 --seconds {seconds}")


def test_exit_statuses_are_those_of_the_code() -> None:
    """The table in README.md has each status with its name, and no other."""
    rows = re.findall(r"(?m)^\| (\d+) \| ([A-Z]+) \|", _README.read_text())
    assert {(int(number), name) for number, name in rows} == {(c.value, c.name) for c in ExitCode}


@pytest.mark.parametrize("unit", ["thermal-collector.service", "thermal-shipper.service"])
def test_the_units_do_not_restart_what_only_a_person_can_mend(unit: str) -> None:
    """README and units agree about the statuses that end a service for good."""
    text = (ROOT / "deploy" / "systemd" / unit).read_text()
    rows = re.findall(r"(?m)^\| (\d+) \| [A-Z]+ \|.*\| no \|$", _README.read_text())
    found = re.search(r"(?m)^RestartPreventExitStatus=(.*)$", text)
    assert found is not None
    assert found[1].split() == [row for row in rows if row != "0"]
