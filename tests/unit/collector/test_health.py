"""The health machine of one chip: its ladder, its pauses, its words."""

import pytest

from collector.health import (
    ABSENT_WAIT_S,
    ABSENT_WAIT_S_MAX,
    LADDER,
    LOST_WAIT_S,
    LOST_WAIT_S_MAX,
    Health,
    Lockup,
    Phase,
    Remedy,
)
from common.sample import SensorStatus


def fail(health: Health, times: int) -> list[Remedy]:
    """That many faults in a row; the remedies they led to."""
    return [health.failed(SensorStatus.NACK).remedy for _ in range(times)]


def test_faults_in_a_row_climb_the_ladder_in_order() -> None:
    """Three retries, a sensor reset, retries, the bus reopened, retries, then the chip is lost."""
    retries = [Remedy.RETRY] * 3
    expected = [*retries, Remedy.RESET, *retries, Remedy.REOPEN, *retries, Remedy.PROBE]
    health = Health()
    assert fail(health, len(LADDER) + 1) == expected
    assert (health.phase, health.resets, health.losses) == (Phase.LOST, 1, 1)


def test_retries_wait_10_50_and_200_milliseconds() -> None:
    """The pauses of a retry are those that a busy chip needs."""
    health = Health()
    assert [health.failed(SensorStatus.NACK).wait_s for _ in range(3)] == [0.01, 0.05, 0.2]


def test_only_a_measurement_ends_the_climb() -> None:
    """After a measurement the next fault is a first one again."""
    health = Health()
    fail(health, 5)
    assert health.measured() is True
    assert health.measured() is False
    assert (health.phase, health.faults, health.status) == (
        Phase.MEASURING, 0, SensorStatus.STALE,
    )
    assert fail(health, 1) == [Remedy.RETRY]


def test_a_fault_that_no_retry_mends_goes_straight_to_the_reset() -> None:
    """A chip without data is reset at once, then the bus is reopened, then it is lost."""
    health = Health()
    orders = [health.failed(SensorStatus.TIMEOUT, retry=False).remedy for _ in range(3)]
    assert orders == [Remedy.RESET, Remedy.REOPEN, Remedy.PROBE]


def test_rows_say_the_last_fault_until_a_measurement() -> None:
    """The status is the newest fault's, then stale, never ok by itself."""
    health = Health()
    said = [health.status]
    health.failed(SensorStatus.CRC_ERROR)
    said.append(health.status)
    health.failed(SensorStatus.NACK)
    said.append(health.status)
    health.measured()
    said.append(health.status)
    assert said == [
        SensorStatus.WARMING_UP, SensorStatus.CRC_ERROR, SensorStatus.NACK, SensorStatus.STALE,
    ]


def test_an_absent_chip_is_asked_at_least_a_minute_apart() -> None:
    """The pauses grow from one minute to five and stay there."""
    health = Health()
    waits = [health.absent().wait_s for _ in range(6)]
    assert waits[0] == ABSENT_WAIT_S == 60.0
    assert waits == sorted(waits)
    assert waits[-1] == ABSENT_WAIT_S_MAX
    assert (health.status, health.losses) == (SensorStatus.ABSENT, 1)


def test_a_chip_that_has_measured_is_asked_sooner() -> None:
    """A chip that was seen in this run is asked after 5 s, at most a minute apart."""
    health = Health()
    health.measured()
    fail(health, len(LADDER))
    waits = [health.absent().wait_s for _ in range(8)]
    assert waits[0] == LOST_WAIT_S
    assert waits[-1] == LOST_WAIT_S_MAX


def test_a_probe_that_times_out_keeps_the_chip_lost() -> None:
    """A lost chip whose question times out says timeout, not absent, and stays lost."""
    health = Health()
    health.absent()
    order = health.unanswered(SensorStatus.TIMEOUT)
    assert (order.remedy, health.status, health.phase) == (
        Remedy.PROBE, SensorStatus.TIMEOUT, Phase.LOST,
    )


def test_a_found_chip_starts_anew() -> None:
    """After an answer the ladder, the pauses and the status begin again."""
    health = Health()
    health.absent()
    health.absent()
    health.answered()
    assert (health.phase, health.status) == (Phase.STARTING, SensorStatus.WARMING_UP)
    assert fail(health, 1) == [Remedy.RETRY]
    assert health.absent().wait_s == ABSENT_WAIT_S


def test_three_timeouts_in_a_row_are_a_lockup() -> None:
    """The third timeout of whatever chip asks for the bus to be reopened."""
    lockup = Lockup()
    assert [lockup.timed_out() for _ in range(3)] == [False, False, True]


def test_an_answer_between_timeouts_is_no_lockup() -> None:
    """One chip that hangs among others that answer never stops the bus."""
    lockup = Lockup()
    for _ in range(20):
        assert not lockup.timed_out()
        assert not lockup.timed_out()
        lockup.answered()


def test_fruitless_reopenings_come_ever_rarer() -> None:
    """1, 2, 4 … 60 s while nothing answers; 1 s again after an answer."""
    lockup = Lockup()
    waits = [lockup.reopened() for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    lockup.answered()
    assert lockup.reopened() == 1.0
    assert lockup.reopens == 9


@pytest.mark.parametrize("faults", [1, 4, 8, 11])
def test_the_ladder_is_never_left_before_its_end(faults: int) -> None:
    """Until the last rung the chip is failing, not lost: its steps go on."""
    health = Health()
    fail(health, faults)
    assert health.phase is Phase.FAILING
