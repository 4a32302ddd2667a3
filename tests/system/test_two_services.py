"""The two installed services as processes: rows travel, restarts are harmless, one of each only."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from common.errors import ExitCode
from tests.demo.bench import Options, World, world
from tests.demo.reconcile import reconcile
from tests.system.support import needs_file_bus, run, until

INTERVAL_S = 0.2

pytestmark = needs_file_bus


@pytest.fixture
def bench() -> Iterator[World]:
    """A world with a server that commits fast; no service runs yet."""
    with world(Options(interval_s=INTERVAL_S, commit_s=0.3)) as made:
        yield made


def _verdict(bench: World) -> None:
    """End both in order, and demand that everything stored was committed once."""
    assert bench.collector.stop() == ExitCode.OK, bench.collector.program.tail(20)
    until(bench.drained)
    assert bench.shipper.stop() == ExitCode.OK, bench.shipper.program.tail(20)
    verdict = reconcile(*bench.evidence(), round(INTERVAL_S * 1e9))
    assert verdict.findings == ()
    assert verdict.committed == verdict.stored > 0


def test_rows_travel_from_chip_to_table(bench: World) -> None:
    """Measured values arrive, and SIGTERM ends both services with status 0."""
    bench.start()
    until(lambda: bench.server.committed_count() >= 10)
    _verdict(bench)
    samples = [row for row in bench.server.committed_rows() if row.kind == "sample"]
    assert any(row.values.get("scd4x_co2_ppm") for row in samples)
    assert any(row.values.get("icp10125_pressure_pa") for row in samples)
    assert not bench.collector.surprises + bench.shipper.surprises
    _find_what_is_planted(bench)


def _find_what_is_planted(bench: World) -> None:
    """Negative control: the verdict reads the server's table itself, and sees every tampering."""
    for sql, sort in (
        ("update rows set row = replace(row, '\"seq\":3,', '\"seq\":2,')", "duplicated"),
        ("delete from rows where row like '%\"seq\":4,%'", "lost"),
        ("update rows set row = replace(row, '\"sample\"', '\"gap\"')", "changed"),
    ):
        with closing(sqlite3.connect(bench.server.rows_db)) as connection, connection:
            assert connection.execute(sql).rowcount > 0
        verdict = reconcile(*bench.evidence(), round(INTERVAL_S * 1e9))
        assert sort in {finding.sort for finding in verdict.findings}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_both_loses_and_doubles_nothing(bench: World, number: signal.Signals) -> None:
    """Both come back in the same epoch, go on where they were, and the pause is a gap row."""
    bench.start()
    until(lambda: bench.server.committed_count() >= 5)
    for service in (bench.collector, bench.shipper):
        assert service.kill() if number == signal.SIGKILL else service.stop() == ExitCode.OK
    before = bench.server.committed_count()
    bench.start()
    until(lambda: bench.server.committed_count() >= before + 5)
    _verdict(bench)
    rows = bench.server.committed_rows()
    assert len({row.key.epoch for row in rows}) == 1
    assert any(row.kind == "gap" for row in rows)


def test_a_second_one_of_each_refuses(bench: World) -> None:
    """Another collector or shipper on the same spool ends with 75 and names the one that runs."""
    bench.start()
    until(lambda: bench.server.committed_count() >= 1)
    for table in ("collector", "shipper"):
        bench.change(table, "metrics_port", 0)
    second = bench.write_settings(bench.places.root / "second.toml")
    for service, command in ((bench.collector, bench.bus.collector()), (bench.shipper, None)):
        words = command or bench.shipper_command()
        refused = run(*words, "run", "--config", second)
        assert refused.returncode == ExitCode.TEMPFAIL, refused.stdout + refused.stderr
        assert str(service.program.pid) in refused.stderr
        assert "Try:" in refused.stderr
    _verdict(bench)


def test_no_network_at_the_start_stops_neither(bench: World) -> None:
    """Rows are stored while no server answers, and all arrive once one does."""
    bench.server.end()
    bench.start()
    until(lambda: bench.look().stored >= 10)
    assert bench.shipper.program.pid is not None
    bench.server.start()
    until(lambda: bench.server.committed_count() >= 10, limit_s=20)
    _verdict(bench)
