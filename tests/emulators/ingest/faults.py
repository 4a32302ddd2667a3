"""Faults as data: which, at which endpoint, how often; taken one request at a time, by a seed.

A fault is written ``name`` or ``name:key=value,key=value``; several are joined by ``;``::

    drop_reply:endpoint=append,times=3;throttle:p=0.1,retry_after=2;commits_stuck

Keys that every fault at a request has: ``endpoint`` (hostname, token, open, append, status, drop,
elastic, pipe_info, telemetry, any), ``times`` (how many requests; ``0``: until healed), ``p``
(probability at each request; makes ``times`` 0 unless told) and ``skip`` (requests to let pass
first). Of the faults that decide what is answered one strikes at a time, in the order in which
they were added; delays and the like come on top. ``menu`` lists the names and their own keys.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.emulators.ingest.effects import DECIDING, Effect
from tests.emulators.ingest.wire import Endpoint

ANY: Final = "any"
_AIM: Final = ("endpoint", "times", "p", "skip")


class FaultError(ValueError):
    """A fault that does not exist or has a key or value that it does not take."""


@dataclass(frozen=True, slots=True)
class Dish:
    """One entry of the menu.

    Attributes:
        about: one line for people.
        build: makes the effect of one hit.
        keys: own keys with their defaults.
        endpoint: where it hits unless told; ``any`` or an endpoint's name.
        at_once: takes effect when it is added, unless it is aimed at an endpoint.
    """

    about: str
    build: Callable[[Mapping[str, str]], Effect]
    keys: Mapping[str, str]
    endpoint: str = ANY
    at_once: bool = False


@dataclass(slots=True)
class Fault:
    """A fault that is waiting for requests.

    Attributes:
        left: hits left; ``None``: until healed.
        skip: matching requests to let pass first.
    """

    spec: str
    effect: Effect
    endpoint: str
    left: int | None
    probability: float
    skip: int
    hits: int = 0

    def strikes(self, endpoint: Endpoint, random: Random) -> bool:
        """Whether this request is hit; counts it if so."""
        if self.endpoint not in (ANY, endpoint.value) or self.left == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.probability < 1 and random.random() >= self.probability:
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True


class FaultBook:
    """The faults that are on, in the order in which they were added.

    Attributes:
        hits: by name, since the start; healing does not reset it.
    """

    def __init__(self, menu: Mapping[str, Dish], seed: int = 0) -> None:
        """Start without faults."""
        self._menu = menu
        self._random = Random(seed)
        self._faults: list[Fault] = []
        self.hits: dict[str, int] = {}

    def add(self, spec: str) -> list[Effect]:
        """Add faults written as text; returns the effects that are due at once.

        Raises:
            FaultError: nothing was added.
        """
        parsed = [self._parse(part) for part in spec.split(";") if part.strip()]
        self._faults += [fault for fault, at_once in parsed if not at_once]
        due = [fault for fault, at_once in parsed if at_once]
        for fault in due:
            self._count(fault)
        return [fault.effect for fault in due]

    def heal(self) -> None:
        """Take all faults off."""
        self._faults.clear()

    def take(self, endpoint: Endpoint) -> list[Effect]:
        """What happens to a request that has just come."""
        struck: list[Fault] = []
        decided = False
        for fault in self._faults:
            deciding = isinstance(fault.effect, DECIDING)
            if not (decided and deciding) and fault.strikes(endpoint, self._random):
                decided = decided or deciding
                struck.append(fault)
                self._count(fault)
        self._faults = [fault for fault in self._faults if fault.left != 0]
        return [fault.effect for fault in struck]

    def waiting(self) -> list[dict[str, object]]:
        """The faults that are on, for people."""
        return [
            {"spec": fault.spec, "left": fault.left, "hits": fault.hits} for fault in self._faults
        ]

    def _count(self, fault: Fault) -> None:
        name = fault.spec.partition(":")[0]
        self.hits[name] = self.hits.get(name, 0) + 1

    def _parse(self, spec: str) -> tuple[Fault, bool]:
        name, _, rest = spec.strip().partition(":")
        dish = self._menu.get(name)
        if dish is None:
            near = difflib.get_close_matches(name, self._menu, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise FaultError(f"fault {name!r} is not on the menu{hint}")
        given = _pairs(name, rest)
        unknown = given.keys() - dish.keys.keys() - set(_AIM)
        if unknown:
            known = ", ".join((*dish.keys, *_AIM))
            raise FaultError(f"fault {name}: unknown key {min(unknown)!r}, expected {known}")
        own = {key: given.get(key, default) for key, default in dish.keys.items()}
        try:
            fault = _aimed(spec.strip(), dish, given, dish.build(own))
        except (ValueError, KeyError) as error:
            raise FaultError(f"fault {name}: {error}") from None
        return fault, dish.at_once and "endpoint" not in given


def _aimed(spec: str, dish: Dish, given: Mapping[str, str], effect: Effect) -> Fault:
    endpoint = given.get("endpoint", dish.endpoint)
    if endpoint != ANY:
        Endpoint(endpoint)
    probability = float(given.get("p", "1"))
    if not 0 < probability <= 1:
        raise ValueError(f"p={probability} is outside 0 < p <= 1")
    times = int(given.get("times", "1" if probability == 1 else "0"))
    return Fault(spec, effect, endpoint, times or None, probability, int(given.get("skip", "0")))


def _pairs(name: str, rest: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise FaultError(f"fault {name}: {part!r} is not key=value")
        pairs[key.strip()] = value.strip()
    return pairs
