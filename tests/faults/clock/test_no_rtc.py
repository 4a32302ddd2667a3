"""A board without a clock: rows of every boot arrive once, in order, dated by the true time.

The whole chain runs: sampler, spool, drain, server's model. Only the clock and the line are not
real.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from collector.timekeeping import ClockWatch, Synchronised
from shipper.protocol import payload
from tests.emulators.clock import START_REALTIME_NS
from tests.faults.clock.machine import CLOCK_WAIT_S, INTERVAL_S, Machine, verdict

DAY_S: Final = 86_400.0
WRONG_BY_S: Final = {
    "1970": -START_REALTIME_NS / 1e9,
    "last week": -7 * DAY_S,
    "a minute behind": -60.0,
    "right": 0.0,
    "ten minutes ahead": 600.0,
    "next year": 365 * DAY_S,
}
HISTORIES: Final = 40


@pytest.mark.parametrize("wrong_by_s", WRONG_BY_S.values(), ids=WRONG_BY_S)
def test_rows_before_the_sync_arrive_with_the_true_time(tmp_path: Path, wrong_by_s: float) -> None:
    """Sync arrives after a minute: until then nothing is sent, then everything, re-dated."""
    machine = Machine(tmp_path)
    with machine.boot(wrong_by_s):
        machine.run(60.0)
        assert machine.table == [], "unsynchronised rows of the running boot wait"
        machine.synchronise()
        machine.run(30.0)
        machine.home()
        assert verdict(machine) == []
        samples = [row for row in machine.table if row["kind"] == "sample"]
        assert len(samples) >= 90 / INTERVAL_S - 1
        assert all(row["clock_synced"] for row in samples)
        told = [row["detail"]["by_s"] for row in machine.table if row["kind"] == "event"]
        assert [round(by_s) for by_s in told] == ([-round(wrong_by_s)] if wrong_by_s else [])


@pytest.mark.parametrize("wrong_by_s", WRONG_BY_S.values(), ids=WRONG_BY_S)
def test_without_a_time_source_rows_go_flagged_after_the_wait(
    tmp_path: Path, wrong_by_s: float
) -> None:
    """A sync that never comes holds rows back no longer than the limit; they say so themselves."""
    machine = Machine(tmp_path)
    with machine.boot(wrong_by_s):
        machine.run(CLOCK_WAIT_S - 60.0)
        assert machine.table == []
        machine.run(120.0)
        machine.home()
        assert verdict(machine) == []
        assert len(machine.table) > 50
        assert not any(row["clock_synced"] for row in machine.table)


def test_an_ended_boot_that_was_never_synchronised_does_not_wait(tmp_path: Path) -> None:
    """Its rows go at once, flagged; those of the new boot still wait, and overtake nothing."""
    machine = Machine(tmp_path)
    with machine.boot(WRONG_BY_S["last week"]):
        machine.run(60.0)
    with machine.boot(WRONG_BY_S["1970"]):
        machine.run(60.0)
        sent = machine.table
        assert {row["boot_id"] for row in sent} == {machine.boots[0].boot_id}
        assert not any(row["clock_synced"] for row in sent)
        machine.synchronise()
        machine.run(30.0)
        machine.home()
        assert verdict(machine) == []
        mine = [row for row in machine.table if row["boot_id"] == machine.boots[1].boot_id]
        assert all(row["clock_synced"] for row in mine if row["kind"] == "sample")


@pytest.mark.parametrize("by_s", [-3600.0, -2.0, 2.0, 3600.0, 30 * DAY_S])
def test_a_step_in_a_synchronised_boot_is_told_and_moves_nothing(
    tmp_path: Path, by_s: float
) -> None:
    """Somebody sets the clock: an event row has the size, every tick has its row, none is extra."""
    machine = Machine(tmp_path)
    with machine.boot(0.0, synchronised=True):
        machine.run(60.0)
        machine.clock.step(by_s)
        machine.run(60.0)
        machine.clock.step(-by_s)
        machine.run(60.0)
        machine.home()
        table = machine.table
        samples = [row["boottime_ns"] / 1e9 for row in table if row["kind"] == "sample"]
        distances = {round(b - a, 3) for a, b in pairwise(samples)}
        assert distances == {INTERVAL_S}
        assert [row["seq"] for row in table] == list(range(1, len(table) + 1))
        told = [row["detail"] for row in table if row["kind"] == "event"]
        assert [detail["by_s"] for detail in told] == [by_s, -by_s]


def live(machine: Machine, seed: int) -> None:
    """A few boots with clocks drawn from the seed: wrong, late, stepped before the sync, never."""
    random = Random(seed)
    for number in range(random.randint(2, 5)):
        last = number == 4
        with machine.boot(random.choice(tuple(WRONG_BY_S.values())) * random.random()):
            for _ in range(random.randint(0, 3)):
                machine.run(random.randint(1, 12) * INTERVAL_S)
                if random.random() < 0.3:
                    machine.clock.step(random.uniform(-DAY_S, DAY_S))
            if last or random.random() < 0.7:
                machine.synchronise()
            machine.run(random.randint(2, 8) * INTERVAL_S)
    with machine.boot(0.0, synchronised=True):
        machine.run(30.0)
        machine.home()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_histories_of_boots(tmp_path: Path, seed: int) -> None:
    """Whatever the clocks did, each row is there once, in order, and none has a false time."""
    machine = Machine(tmp_path, seed)
    live(machine, seed)
    assert verdict(machine) == []
    assert len({row["boot_id"] for row in machine.table}) >= 2


def the_offset_is_taken_at_the_flag(patch: pytest.MonkeyPatch) -> None:
    """The offset is that of the moment before the step: what was wrong stays wrong."""
    honest = ClockWatch.look

    def look(self: ClockWatch, stamp: Any) -> Any:
        before_ns = self._last.offset_ns
        found = honest(self, stamp)
        if stamp.synced and not self._established:
            self._established = True
            found.append(Synchronised(before_ns, stamp))
        return found

    patch.setattr(ClockWatch, "look", look)


def rows_are_dated_twice(patch: pytest.MonkeyPatch) -> None:
    """Re-dating forgets that boottime is the clock, and moves the wall clock by the offset."""
    honest = payload._redated

    def redated(values: tuple[Any, ...], offset_ns: int) -> tuple[Any, ...]:
        changed = list(honest(values, offset_ns))
        changed[payload._TAKEN_AT] = values[payload._TAKEN_AT] + 1_000_000
        return tuple(changed)

    patch.setattr(payload, "_redated", redated)


def rows_do_not_wait(patch: pytest.MonkeyPatch) -> None:
    """An unsynchronised row goes with the time it has, and calls that good."""
    honest = payload.RowEncoder.encode

    def encode(self: Any, row: Any, sending: Any) -> bytes:
        return honest(self, row, sending).replace(b'"clock_synced":false', b'"clock_synced":true')

    patch.setattr(payload.RowEncoder, "encode", encode)


MISTAKES: Final = (the_offset_is_taken_at_the_flag, rows_are_dated_twice, rows_do_not_wait)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_planted_mistakes_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Negative control: within the same histories each mistake gives a row a false time."""
    mistake(monkeypatch)
    for seed in range(HISTORIES):
        machine = Machine(tmp_path / str(seed), seed)
        live(machine, seed)
        if any("synchronised" in text for text in verdict(machine)):
            return
    pytest.fail(f"{mistake.__name__} was not seen in {HISTORIES} histories")
