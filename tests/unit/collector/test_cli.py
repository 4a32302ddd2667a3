"""The command line: what it says, what it refuses, and what it does not import."""

import subprocess
import sys
from pathlib import Path

import pytest

from collector.checking import file_system
from collector.cli import command_line, main
from common.cli_check import Result
from common.columns import COLUMNS, Place
from common.errors import ExitCode


@pytest.mark.parametrize(
    "flag", ["--simulate", "--simulate=true", "--batch-size", "--interval", "--demo"]
)
def test_retired_flags_are_refused_with_the_reason(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 64 and a sentence, wherever the flag stands."""
    for words in (["run", flag], [flag]):
        assert main(words) == ExitCode.USAGE
        assert f"Error: {flag.partition('=')[0]} was removed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["fly"], ["run", "--no-such"], ["--config", "x"], ["read", "x"]]
)
def test_what_cannot_be_understood_is_status_64(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An error and a way to help, no traceback."""
    assert main(words) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert "\nTry: thermal-collector" in said


def test_help_lists_every_column_of_a_row() -> None:
    """Who reads the help knows what the rows hold."""
    text = command_line().parser.format_help()
    for column in COLUMNS:
        assert (f"  {column.name} " in text) == (column.place is not Place.SENDING), column.name


def test_a_missing_configuration_is_status_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that reads the file says that it is not there."""
    missing = str(tmp_path / "none.toml")
    for word in ("run", "probe", "read"):
        assert main([word, "--config", missing]) == ExitCode.CONFIG
        assert missing in capsys.readouterr().err
    assert main(["check", "--config", missing]) == ExitCode.CONFIG
    assert capsys.readouterr().out.startswith("[FAIL] config: ")


def test_help_and_version_import_nothing_heavy() -> None:
    """They are instant also on the slowest Pi."""
    script = (
        "import sys, collector.cli\n"
        "heavy = ('sqlite3', 'smbus2', 'prometheus_client', 'collector.app', 'tomllib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_failed_stage_has_its_code_and_its_remedy() -> None:
    """The code can be looked up, the remedy stands on its own line."""
    failed = Result("bus", False, "not there", "bus.bus_gone", "enable I2C", 69)
    assert failed.line == "[FAIL] bus: not there (bus.bus_gone)\n       Try: enable I2C"
    assert Result("bus", True, "open").line == "[OK]   bus: open"


def test_the_file_system_of_a_directory_is_its_deepest_mount(tmp_path: Path) -> None:
    """A tmpfs over the spool is seen, one beside it is not."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/root / ext4 rw 0 0\n"
        f"tmpfs {tmp_path}/spool tmpfs rw 0 0\n"
        f"none {tmp_path}/spo overlay rw 0 0\n"
    )
    assert file_system(tmp_path / "spool" / "deep", mounts) == "tmpfs"
    assert file_system(tmp_path / "spoolish", mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "none") == ""
