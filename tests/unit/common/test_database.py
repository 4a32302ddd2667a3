"""SQLite's errors, told apart by what helps against them."""

import os
import sqlite3
from pathlib import Path

import pytest

from common.database import (
    SpoolAbsent,
    SpoolBusy,
    SpoolCorrupt,
    SpoolForbidden,
    SpoolFull,
    translate,
)
from common.errors import ExitCode, SpoolError


def _error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_FULL", SpoolFull),
        ("SQLITE_CORRUPT", SpoolCorrupt),
        ("SQLITE_CORRUPT_VTAB", SpoolCorrupt),
        ("SQLITE_NOTADB", SpoolCorrupt),
        ("SQLITE_BUSY_SNAPSHOT", SpoolBusy),
        ("SQLITE_IOERR_FSYNC", SpoolError),
        ("SQLITE_ERROR", SpoolError),
    ],
)
def test_each_error_has_its_kind(tmp_path: Path, name: str, kind: type[SpoolError]) -> None:
    """Operation, path and SQLite's own name of the error are in the message; the hint helps."""
    path = tmp_path / "spool.db"
    translated = translate(_error(name), "append", path)
    assert type(translated) is kind
    assert (translated.op, translated.path) == ("append", str(path))
    assert name in str(translated)
    assert translated.hint
    assert translated.exit_code is ExitCode.IOERR


def test_a_file_that_is_missing_and_one_that_is_forbidden_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No permission ends the service with 77; a missing file, or a read-only disk, does not."""
    path = tmp_path / "spool.db"
    assert type(translate(_error("SQLITE_CANTOPEN"), "open", path)) is SpoolAbsent
    path.touch()
    assert type(translate(_error("SQLITE_CANTOPEN"), "open", path)) is SpoolError
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    forbidden = translate(_error("SQLITE_READONLY"), "append", path)
    assert type(forbidden) is SpoolForbidden
    assert forbidden.exit_code is ExitCode.NOPERM
