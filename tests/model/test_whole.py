"""The whole device against the server, in any order that Hypothesis can think of.

The drain, the protocol and the collector's decisions are the product's own, over the simulated
files; Hypothesis shrinks what it finds to a few steps. After each rule the table holds nothing that
was not stored, in order, and no row twice without its flag; at the end of each history everything
heals and comes home.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.mistakes_of_identity import keep_epoch_at_boot, send_before_salvage
from tests.model.mistakes_of_opening import go_on_after_exposed, insist_at_once
from tests.model.mistakes_of_sending import believe_any_token, never_poll_when_idle, trust_200
from tests.model.simulation_books import Broken
from tests.model.simulation_history import Simulation
from tests.model.simulation_host import SimDevice
from tests.model.simulation_server import Line

ROOM_ROWS = 25


class WholeMachine(RuleBasedStateMachine):
    """One device, one server, and everybody who may interfere."""

    mistake: Callable[[SimDevice], None] | None = None
    ended = 0
    """How many histories came to their end."""
    steps = 0
    """How many rules ran."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(0, mistake=type(self).mistake, climate="calm")

    @property
    def device(self) -> SimDevice:
        """The one device."""
        return self.simulation.device

    @rule(rows=st.integers(1, 8))
    def store(self, rows: int) -> None:
        """Samples are stored, if the collector runs."""
        self.device.collector.store(rows)

    @rule(steps=st.integers(1, 12))
    def drain(self, steps: int) -> None:
        """The shipper works."""
        for _ in range(steps):
            self.simulation.step()

    @rule(pieces=st.integers(1, 8))
    def care(self, pieces: int) -> None:
        """The collector trims, thins, copies events; it is started if it was dead."""
        self.device.collector.advance(pieces)

    @rule(calls=st.integers(1, 30))
    def kill_shipper(self, calls: int) -> None:
        """The shipper dies at one of its next calls."""
        self.device.machine.mortality.calls_left = calls
        for _ in range(5):
            self.simulation.step()

    @rule()
    def kill_collector(self) -> None:
        """The collector dies."""
        self.device.kill_collector()

    @rule()
    def cut(self) -> None:
        """A power cut; the card has kept what it said."""
        self._honest(self.device.cut_power)

    @rule()
    def reboot(self) -> None:
        """A power cut, and the collector is late."""
        self.simulation.weather.late_collector = 1.0
        self._honest(self.device.cut_power)
        self.simulation.weather.late_collector = 0.0

    @rule()
    def cut_on_a_lying_card(self) -> None:
        """Each file may have lost its last writes."""
        self.device.cut_power()

    @rule()
    def restore(self) -> None:
        """An older spool is put back."""
        self.device.restore()

    @rule()
    def damage(self) -> None:
        """The spool is found damaged."""
        self.device.damage()

    @rule()
    def swap_board(self) -> None:
        """The card moves to another board."""
        self._honest(self.device.swap_board)

    @rule(crowded=st.booleans())
    def crowd(self, crowded: bool) -> None:
        """There is room for few rows, or for all."""
        self.device.collector.rows_max = ROOM_ROWS if crowded else 1 << 30

    @rule(chance=st.sampled_from((0.0, 0.1, 0.4)))
    def bad_line(self, chance: float) -> None:
        """The network becomes bad, or good."""
        line = Line(*[chance / 3] * len(Line.__slots__))
        self.device.transport.line = line

    @rule()
    def stick(self) -> None:
        """Commits get stuck, or go on."""
        knobs = self.simulation.knobs
        knobs.commits_stuck = not knobs.commits_stuck

    @rule()
    def invalidate(self) -> None:
        """The server invalidates the channel."""
        if self.device.channel in self.simulation.model.channels:
            self.simulation.model.invalidate(self.device.channel)

    @precondition(lambda self: not self.simulation.books.forgetful)
    @rule()
    def lose_channel(self) -> None:
        """The server forgets the channel; with a file that went back too, nobody could tell."""
        if self.device.channel in self.simulation.model.channels:
            self.simulation.model.lose(self.device.channel)
            self.simulation.weather.lie = 0

    @rule()
    def steal(self) -> None:
        """Somebody else opens it."""
        if self.device.channel in self.simulation.model.channels:
            self.simulation.model.steal(self.device.channel, self.simulation.now_s)

    @rule(seconds=st.sampled_from((1.0, 9.0, 40.0, 300.0, 7200.0)))
    def wait(self, seconds: float) -> None:
        """Time passes while nobody works, as in a suspend."""
        self.simulation.now_s += seconds

    @invariant()
    def the_table_is_right_so_far(self) -> None:
        """What arrived is what was stored, in order, and never twice without a flag."""
        type(self).steps += 1
        self.simulation.auditor.read()
        for key, delivery in self.simulation.auditor.deliveries.items():
            if delivery.copies - delivery.flagged > 1:
                raise Broken(f"{key} is there {delivery.copies} times")

    def teardown(self) -> None:
        """Everything heals, comes home and is judged."""
        self.device.transport.line.quiet()
        self.simulation.run()
        type(self).ended += 1

    def _honest(self, cut: Callable[[], None]) -> None:
        """Cut the power under a card that does not lie."""
        weather = self.simulation.weather
        lie, weather.lie = weather.lie, 0
        cut()
        weather.lie = lie


SETTINGS = settings(
    max_examples=120,
    stateful_step_count=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SETTINGS, max_examples=1200, stateful_step_count=60)
CONTROL = settings(
    SETTINGS,
    max_examples=400,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
)


def _run(mistake: Callable[[SimDevice], None] | None, how: settings) -> type[WholeMachine]:
    """Run histories of a machine of its own; returns it for its counts."""

    class Machine(WholeMachine):
        """One run's."""

    Machine.mistake = None if mistake is None else staticmethod(mistake)
    run_state_machine_as_test(Machine, settings=how)
    return Machine


def test_any_order_of_events_comes_home() -> None:
    """Nothing lost, nothing doubled, whatever is done in whatever order."""
    ran = _run(None, SETTINGS)
    assert ran.ended >= SETTINGS.max_examples
    assert ran.steps >= 20 * SETTINGS.max_examples


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_many_orders_of_events_come_home() -> None:
    """The same, ten times as often."""
    ran = _run(None, LONG)
    assert ran.ended >= LONG.max_examples


@pytest.mark.parametrize(
    "mistake",
    [
        trust_200,
        believe_any_token,
        never_poll_when_idle,
        go_on_after_exposed,
        insist_at_once,
        keep_epoch_at_boot,
        send_before_salvage,
    ],
)
def test_planted_mistakes_are_found(mistake: Callable[[SimDevice], None]) -> None:
    """Negative controls: each of these is found by the same rules."""
    with pytest.raises((AssertionError, ExceptionGroup)):
        _run(mistake, CONTROL)
