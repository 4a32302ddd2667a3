"""What happens between two steps of a history, drawn from its weather."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.model.simulation_host import SimDevice

if TYPE_CHECKING:
    from tests.model.simulation_history import Simulation

_PAUSES_S = (3.0, 20.0, 200.0)


class Mishaps:
    """See the module."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._random = simulation.random
        weather = simulation.weather
        actions: list[tuple[float, Callable[[SimDevice], None]]] = [
            (weather.store, lambda d: d.collector.store(self._random.randint(1, 6))),
            (weather.collect, lambda d: d.care()),
            (weather.kill, self._doom),
            (weather.kill_collector, lambda d: d.kill_collector()),
            (weather.cut, lambda d: d.cut_power()),
            (weather.restore, lambda d: d.restore()),
            (weather.damage, lambda d: d.damage()),
            (weather.lose_spool, lambda d: d.lose_spool()),
            (weather.lose_ledger, lambda d: d.lose_ledger(damaged=self._random.random() < 0.5)),
            (weather.swap_board, lambda d: d.swap_board()),
            (weather.clone, lambda d: simulation.clone()),
            (weather.clock, self._move_clock),
            (weather.invalidate, self._invalidate),
            (weather.lose, self._lose_channel),
            (weather.steal, self._steal),
            (weather.rewind, self._rewind),
            (weather.stick, self._stick),
            (weather.door, self._door),
            (weather.pause, self._pause),
        ]
        self._actions = [action for action in actions if action[0]]

    def happen(self) -> None:
        """Draw for each mishap whether it happens now, to which device."""
        draw, devices = self._random.random, self._simulation.devices
        for chance, action in self._actions:
            if draw() < chance:
                action(devices[0] if len(devices) == 1 else self._random.choice(devices))

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        simulation = self._simulation
        simulation.trace("healed")
        weather, knobs = simulation.weather, simulation.knobs
        weather.line.quiet()
        weather.interleave = weather.kill_collector = weather.card_fails = weather.unsynced = 0.0
        weather.late_collector = 0.0
        knobs.commits_stuck = False
        knobs.row_rules = knobs.refuse_rules = ()
        for device in simulation.devices:
            device.machine.mortality.calls_left = None
            device.machine.mortality.meanwhile = device.machine.mortality.fails = None
            device.transport.body_max = max(weather.body_max, device.transport.body_max)
            if not device.machine.clock.synced:
                self._synchronise(device)

    def _doom(self, device: SimDevice) -> None:
        """The shipper will die within its next calls."""
        if device.machine.mortality.calls_left is None:
            calls = self._random.randint(1, self._simulation.weather.calls)
            device.machine.mortality.calls_left = calls

    def _move_clock(self, device: SimDevice) -> None:
        """The clock is set right, or somebody sets it wrong."""
        clock = device.machine.clock
        if not clock.synced:
            self._synchronise(device)
        else:
            clock.ahead_ns += self._random.choice((-1, 1)) * self._random.getrandbits(50)
        device.counts["clock steps"] += 1

    def _synchronise(self, device: SimDevice) -> None:
        clock = device.machine.clock
        clock.ahead_ns = self._random.getrandbits(52)
        clock.synced = True
        if not device.collector.running:
            device.collector.start()
        device.collector.synchronise()

    def _invalidate(self, device: SimDevice) -> None:
        if device.channel in self._simulation.model.channels:
            self._simulation.trace("invalidated")
            self._simulation.model.invalidate(device.channel)

    def _lose_channel(self, device: SimDevice) -> None:
        if device.channel in self._simulation.model.channels:
            self._simulation.trace("channel lost")
            device.counts["channels lost"] += 1
            self._simulation.model.lose(device.channel)

    def _steal(self, device: SimDevice) -> None:
        if device.channel in self._simulation.model.channels:
            self._simulation.trace("stolen")
            self._simulation.model.steal(device.channel, self._simulation.now_s)

    def _rewind(self, device: SimDevice) -> None:
        """Somebody sets the token back to an older one.

        Forward would tell that rows came which never did.
        """
        simulation = self._simulation
        channel = simulation.model.channels.get(device.channel)
        if channel is None or channel.committed_token is None:
            return
        install, now = device.machine.spool.install().install_id, channel.committed_token
        place = simulation.books.place_of
        tokens = [
            row.offset_token or "" for row in simulation.store.rows if row.name == device.channel
        ]
        older = [x for x in tokens if place(install, x) < place(install, now)]
        if older:
            token = self._random.choice(older)
            simulation.trace(f"rewound to {token}")
            simulation.model.open(device.channel, simulation.now_s, offset_token=token)

    def _stick(self, device: SimDevice) -> None:
        """Commits get stuck, or go on again."""
        self._simulation.knobs.commits_stuck = not self._simulation.knobs.commits_stuck

    def _door(self, device: SimDevice) -> None:
        """Some proxy lets through more, or less."""
        wide = 1 << 22
        narrow = self._simulation.weather.body_max
        device.transport.body_max = narrow if device.transport.body_max == wide else wide

    def _pause(self, device: SimDevice) -> None:
        self._simulation.now_s += self._random.choice(_PAUSES_S)
