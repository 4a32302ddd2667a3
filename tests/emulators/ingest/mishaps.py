"""What happens to the server itself: to its channels, its pipe, its clock, its rules.

Each mishap of ``menu`` is one line here. ``heal`` puts back every rule and the clock; channels
that were lost, stolen or invalidated stay so, as they would.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import fields
from typing import Any, Final

from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.effects import Mishap
from tests.emulators.ingest.faults import FaultError
from tests.emulators.ingest.routes import Route
from tests.emulators.ingest.rows import NotNull, OfKind, Poison, RowRule
from tests.emulators.ingest.service import Service

Options = Mapping[str, str]


class World:
    """The server as mishaps reach it."""

    def __init__(self, service: Service) -> None:
        """Remember how the server was set up, so that it can be healed."""
        self.service = service
        self.model = service.model
        self._knobs = copy(service.model.knobs)
        self._policy = copy(service.gate.policy)

    def befall(self, mishap: Mishap, where: Route | None = None) -> None:
        """Let it happen.

        Args:
            mishap: what happens.
            where: of the request that triggered it: its channel or pipe is the one that is hit,
                unless the options name another. ``None``: nobody's; all channels are hit.

        Raises:
            FaultError: nothing is known that it could happen to, or an option is no number.
        """
        try:
            self._befall(mishap, where)
        except ValueError as error:
            raise FaultError(f"{mishap.name}: {error}") from None

    def _befall(self, mishap: Mishap, where: Route | None) -> None:
        names = self._targets(mishap.options.get("channel", ""), where)
        if mishap.name in _OF_CHANNELS:
            for name in names:
                _OF_CHANNELS[mishap.name](self, name, mishap.options)
        elif mishap.name in _OF_PIPES:
            pipes = {where.pipe} if where and where.pipe else {name.pipe for name in names}
            if not pipes:
                raise ValueError("no pipe is known yet; aim it with endpoint=open")
            for pipe in sorted(filter(None, pipes)):
                _OF_PIPES[mishap.name](self, pipe, mishap.options)
        else:
            _OF_RULES[mishap.name](self, mishap.options)

    def heal(self) -> None:
        """Put every rule, every pipe and the clock back."""
        for item in fields(self._knobs):
            setattr(self.model.knobs, item.name, getattr(self._knobs, item.name))
        for item in fields(self._policy):
            setattr(self.service.gate.policy, item.name, getattr(self._policy, item.name))
        self.service.limit.requests_per_s = self.service.limit.bytes_per_s = None
        self.service.clock.offset_s = 0.0
        for pipe in tuple(self.model.broken_pipes):
            self.model.mend_pipe(pipe)

    def _targets(self, channel: str, where: Route | None) -> list[ChannelName]:
        if not channel and where is not None and where.channel:
            names = [where.name]
        else:
            names = [name for name in self.model.channels if channel in ("", name.channel)]
        return sorted(name for name in names if name in self.model.channels)

    def steal(self, name: ChannelName) -> None:
        """Open the channel as a second writer."""
        self.model.steal(name, self.service.clock.now_s())

    def commit_now(self) -> None:
        """Commit what is accepted."""
        self.model.commit_now(self.service.clock.now_s())

    def set_knob(self, name: str, value: object) -> None:
        """Change one knob of the model."""
        setattr(self.model.knobs, name, value)

    def add_row_rule(self, rule: RowRule) -> None:
        """Make rows row errors."""
        self.model.knobs.row_rules += (rule,)

    def limit(self, options: Options) -> None:
        """Throttle above these rates."""
        self.service.limit.requests_per_s = float(options["rps"])
        self.service.limit.bytes_per_s = float(options["mb_per_s"]) * 1e6


_OF_CHANNELS: Final[dict[str, Callable[[World, ChannelName, Options], Any]]] = {
    "invalidate": lambda world, name, own: world.model.invalidate(name, own["code"]),
    "lose": lambda world, name, own: world.model.lose(name),
    "steal": lambda world, name, own: world.steal(name),
}
_OF_PIPES: Final[dict[str, Callable[[World, Pipe, Options], Any]]] = {
    "replace_table": lambda world, pipe, own: world.model.replace_table(pipe),
    "break_pipe": lambda world, pipe, own: world.model.break_pipe(pipe, own["code"]),
}
_OF_RULES: Final[dict[str, Callable[[World, Options], Any]]] = {
    "commit_now": lambda world, own: world.commit_now(),
    "revoke_tokens": lambda world, own: world.service.gate.revoke(),
    "commit_delay": lambda world, own: world.set_knob("commit_delay_s", float(own["s"])),
    "commit_jitter": lambda world, own: world.set_knob("commit_jitter_s", float(own["s"])),
    "commit_grain": lambda world, own: world.set_knob("commit_grain_s", float(own["s"])),
    "commits_stuck": lambda world, own: world.set_knob("commits_stuck", True),
    "counters_lag": lambda world, own: world.set_knob("counters_lag_s", float(own["s"])),
    "idle_expiry": lambda world, own: world.set_knob("idle_expiry_s", float(own["s"])),
    "older_session_noop": lambda world, own: world.set_knob("older_session_is_noop", True),
    "not_null": lambda world, own: world.add_row_rule(NotNull(own["column"])),
    "of_kind": lambda world, own: world.add_row_rule(OfKind(own["column"], own["kind"])),
    "poison": lambda world, own: world.add_row_rule(Poison(own["column"], own["value"])),
    "refuse": lambda world, own: world.set_knob(
        "refuse_rules", (*world.model.knobs.refuse_rules, Poison(own["column"], own["value"]))
    ),
    "token_lifetime": lambda world, own: setattr(
        world.service.gate.policy, "token_lifetime_s", float(own["s"])
    ),
    "max_skew": lambda world, own: setattr(
        world.service.gate.policy, "max_skew_s", float(own["s"])
    ),
    "clock_offset": lambda world, own: setattr(world.service.clock, "offset_s", float(own["s"])),
    "rate_limit": lambda world, own: world.limit(own),
}
