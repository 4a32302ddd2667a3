"""A file that cannot be read or parsed ends with a remedy, never with a traceback."""

import os
from pathlib import Path

import pytest

from common import config
from common.errors import ConfigError, ExitCode, PermissionRefused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[shipper\nbatch_size = 1", "line 1"),
        ("a = 1\n\nb = = 2\n", "line 3"),
        ("a = " + "[" * 3_000, "RecursionError"),
        ("a = 1" + "0" * 5_000, "ValueError"),
    ],
)
def test_a_syntax_error_names_its_line(tmp_path: Path, text: str, expected: str) -> None:
    """What is no TOML at all is refused with the place, and never with a traceback."""
    path = tmp_path / "thermal.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        config.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.hint


def test_a_windows_editor_is_forgiven(tmp_path: Path) -> None:
    """A byte order mark and CRLF line ends mean nothing."""
    path = tmp_path / "thermal.toml"
    path.write_bytes(b"\xef\xbb\xbf[shipper]\r\nbatch_size = 3\r\n")
    assert config.load(path).shipper.batch_size == 3


def test_what_is_no_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    """Latin-1 from an old editor is named by line and byte."""
    path = tmp_path / "thermal.toml"
    path.write_bytes(b'[device]\nsite = "K\xfcche"\n')
    with pytest.raises(ConfigError, match="line 2: byte 0xfc is not UTF-8"):
        config.load(path)


def test_a_missing_file_says_where_to_get_one(tmp_path: Path) -> None:
    """The first start of a new user ends with a remedy."""
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        config.load(tmp_path / "nowhere" / "thermal.toml")
    assert "thermal.example.toml" in str(caught.value.hint)


def test_a_directory_a_pipe_and_an_impossible_name_are_refused(tmp_path: Path) -> None:
    """Nothing is read for ever, and nothing gives a traceback."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is a directory"):
        config.load(tmp_path)
    with pytest.raises(ConfigError, match="is not a regular file"):
        config.load(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(Path("a\0b"))
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(Path("x" * 5_000))


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """A wrong path to a database is not read into memory."""
    path = tmp_path / "thermal.toml"
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="more than 1048576 bytes"):
        config.load(path)


def test_an_unreadable_file_ends_with_status_77(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd does not restart on 77: only chown helps, and the message says so."""
    path = tmp_path / "thermal.toml"
    path.write_text("")

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionRefused, match="may not be read by user") as caught:
        config.load(path)
    assert caught.value.exit_code == ExitCode.NOPERM
    assert "chown" in str(caught.value.hint)
