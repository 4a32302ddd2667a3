"""One event is one line, whatever is in it, and writing it never ends a service."""

import io
import os
import threading
from pathlib import Path

import pytest

from common.logs import Log, render
from common.redaction import MASK, SECRETS, Redactor


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "started"),
        ({"n": 1, "y": True, "f": False, "x": None}, "started n=1 y=true f=false x=none"),
        ({"ratio": 1 / 3, "big": 1e12}, "started ratio=0.333333 big=1e+12"),
        ({"path": Path("/a b"), "empty": ""}, 'started path="/a b" empty=""'),
        ({"token": "v1|a|b,c|5"}, "started token=v1|a|b,c|5"),
        ({"reply": 'say "x=1"\n'}, 'started reply="say \\"x=1\\"\\n"'),
        ({"city": "Zürich"}, "started city=Zürich"),
        ({"bell": "a\x1b[31m\u2028b"}, 'started bell="a\\u001b[31m\\u2028b"'),
    ],
)
def test_fields_are_written_so_that_they_can_be_read_back(
    fields: dict[str, object], line: str
) -> None:
    """Values with blanks, quotes or control characters are quoted; plain ones are not."""
    assert render("started", "", fields) == line


def test_the_message_stands_between_event_and_fields() -> None:
    """The lines that users watch for are the message part of the event line."""
    stream = io.StringIO()
    Log("thermal-collector", stream=stream).info(
        "started", "PRODUCTION MODE: Real sensors required and enforced", bus=1
    )
    expected = "started PRODUCTION MODE: Real sensors required and enforced bus=1\n"
    assert stream.getvalue() == expected


def test_a_server_cannot_forge_a_line() -> None:
    """A line end in a message or value does not begin a new event."""
    stream = io.StringIO()
    Log("x", stream=stream).warning("refused", "no\nstarted fake=1", body="a\r\nb")
    assert stream.getvalue().count("\n") == 1
    assert "\\nstarted" in stream.getvalue()


def test_debug_is_written_only_when_verbose() -> None:
    """--verbose adds the debug events and nothing else."""
    quiet, loud = io.StringIO(), io.StringIO()
    Log("x", stream=quiet).debug("detail")
    Log("x", verbose=True, stream=loud).debug("detail")
    assert (quiet.getvalue(), loud.getvalue()) == ("", "detail\n")


def test_levels_become_journal_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the journal on the other end each line has <N>; anywhere else a level in words."""
    with (tmp_path / "journal").open("w") as stream:
        stat = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        log = Log("x", verbose=True, stream=stream)
        for write in (log.debug, log.info, log.notice, log.warning, log.error):
            write("event")
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines == ["<7>event", "<6>event", "<5>event", "<4>event", "<3>event"]
    plain = io.StringIO()
    log = Log("x", stream=plain)
    log.info("event")
    log.error("event", n=1)
    assert plain.getvalue() == "event\nevent n=1 level=error\n"


def test_another_journal_stream_gives_no_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child whose stdout was redirected has the variable, but no journal at the other end."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "file").open("w") as stream:
        Log("x", stream=stream).info("event")
    assert (tmp_path / "file").read_text() == "event\n"


def test_a_planted_secret_never_reaches_a_line() -> None:
    """By value and by name of the field; an unregistered text shows that this can fail."""
    stream = io.StringIO()
    log = Log("x", stream=stream, redactor=Redactor())
    log.hide("planted-secret")
    log.error("failed", "with planted-secret", url="https://u:planted-secret@h", pat="anything")
    log.error("failed", "control: not-registered")
    text = stream.getvalue()
    assert "planted" not in text
    assert "anything" not in text
    assert text.count(MASK) == 3
    assert "not-registered" in text


def test_the_secrets_of_the_process_are_used_by_default() -> None:
    """What one part of a service registers is hidden in every log of the process."""
    stream = io.StringIO()
    SECRETS.hide("process-wide-planted")
    Log("x", stream=stream).info("event", value="process-wide-planted")
    assert stream.getvalue() == f"event value={MASK}\n"


class _Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [_Full(), io.StringIO()], ids=["full", "closed"])
def test_a_log_that_cannot_be_written_is_no_error(stream: io.StringIO) -> None:
    """A full disk or a closed pipe must not stop the measuring."""
    log = Log("x", stream=stream)
    if not isinstance(stream, _Full):
        stream.close()
    log.error("event")
    with pytest.raises((OSError, ValueError)):
        stream.write("control: the stream itself does refuse")


def test_a_terminal_without_utf_8_gets_escapes() -> None:
    """An ASCII locale loses no line."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Log("x", stream=stream).info("event", site="Küche")
    assert raw.getvalue() == b"event site=K\\xfcche\n"


def test_threads_do_not_mix_their_lines() -> None:
    """A line is written in one piece."""
    stream = io.StringIO()
    log = Log("x", stream=stream)

    def write(name: str) -> None:
        for number in range(200):
            log.info(name, number=number)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert sorted(lines) == sorted(f"{name} number={n}" for name in "abcd" for n in range(200))
