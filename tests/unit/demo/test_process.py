"""The demo's processes: started, killed, restarted, ended within limits."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.demo import process
from tests.demo.process import Program, Service, free_port

METRICS = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b"# HELP x\\nthermal_collector_ticks_total 42.0\\ny{a=\\"b\\"} 1.5\\n")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def program(tmp_path: Path, code: str, *words: str) -> Program:
    """A Python program."""
    return Program("it", [sys.executable, "-c", code, *words], tmp_path / "it.log", {"SEEN": "1"})


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """``end`` always ends, within its limit and a little."""
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True);"
        "time.sleep(60)"
    )
    deaf = program(tmp_path, code)
    deaf.start()
    deadline_s = time.monotonic() + 10
    while deaf.tail() != "up" and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert deaf.end(limit_s=0.2) == -signal.SIGKILL
    assert deaf.pid is None


def test_output_and_environment(tmp_path: Path) -> None:
    """Both streams land in the log, with the environment that was added."""
    seen = program(tmp_path, "import os,sys;print(os.environ['SEEN']);print(2,file=sys.stderr)")
    seen.start()
    assert seen.wait(10) == 0
    assert set(seen.tail().split()) == {"1", "2"}


def test_a_kill_is_booked_with_the_last_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A life ends with the counter that was seen right before, and another begins after a pause."""
    monkeypatch.setattr(process, "RESTART_S", 0.0)
    port = free_port()
    service = Service(program(tmp_path, METRICS, str(port)), port)
    service.start()
    try:
        deadline_s = time.monotonic() + 10
        while not service.scrape() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert service.scrape() == {"thermal_collector_ticks_total": 42.0, 'y{a="b"}': 1.5}
        first = service.program.pid
        assert service.kill()
        assert (service.kills, service.surprises) == (1, [])
        assert [run.ticks for run in service.runs] == [42]
        assert service.runs[0].start_ns < service.runs[0].end_ns
        assert not service.kill()
        service.tend()
        assert service.program.pid not in (None, first)
    finally:
        service.program.end()


def test_a_death_of_its_own_is_a_surprise(tmp_path: Path) -> None:
    """Negative control: a service that ends without our doing is noted with its status."""
    service = Service(program(tmp_path, "raise SystemExit(70)"), free_port())
    service.start()
    service.program.wait(10)
    service.tend()
    assert service.surprises == [70]
    assert len(service.runs) == 1
