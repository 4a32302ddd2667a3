"""Every writing system call of a scenario, one after the other: killed there, or refused there."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from common.errors import ThermalError
from tests.faults.power import strace
from tests.faults.power.judge import Digest, Judge, install_of
from tests.faults.power.mistakes import scenario_named
from tests.faults.power.stage import Stage
from tests.faults.power.strace import Call

REFUSED: Final = 3
"""Exit status of a run in which the product raised its own error at each try."""
TRIES: Final = 3
_KILLED: Final = -9
_PAGE_OF_SHM: Final = re.compile(r'pwrite64\(\d+, "\\0", 1, (\d+)\)')
"""SQLite makes room in the wal-index with a byte a page, eight in a row; they change nothing."""
_OURS: Final = re.compile(r'/run"')
"""Calls of the scenario itself, which makes the runtime directory as systemd does."""
_RUN: Final = 8 * 4096


@dataclass(slots=True)
class Tally:
    """What came of all points.

    Attributes:
        calls: writing system calls that the unharmed scenarios make.
        kills: runs that were killed.
        kills_in_recovery: runs that were killed, and whose recovery was killed too.
        refusals: runs in which the disk refused a call.
        raised: of these, runs in which the product raised its own error to the end.
        problems: everything that was wrong.
    """

    calls: int = 0
    kills: int = 0
    kills_in_recovery: int = 0
    refusals: int = 0
    raised: int = 0
    problems: list[str] = field(default_factory=list)


class Enumeration:
    """One scenario, and what is done to it.

    Args:
        name: of the scenario.
        root: an existing directory.
        tally: where everything is counted.
    """

    def __init__(self, name: str, root: Path, tally: Tally) -> None:
        self.name, self.tally, self._random = name, tally, Random(name)
        self.scenario = scenario_named(name)
        self.stage = Stage(self.scenario, root)
        self._found = install_of(self.stage.copy() / "spool")
        unharmed = self.stage.copy()
        ended = self._run(unharmed)
        assert ended.status == 0, ended.errors
        self._first = self._finish(unharmed, ended.reports, "unharmed")
        self.points = _points(ended.calls, self.scenario.stride)
        tally.calls += len(ended.calls)

    def kill_each(self) -> None:
        """Die at each point; recover; demand the unharmed result."""
        for point in self.points:
            self._at(f"killed at {point}", partial(self._kill, point))

    def kill_recovery(self, every: int) -> None:
        """Die at a sample of the points, and again at a random call of the recovery."""
        for point in self.points[:: every]:
            self._at(f"killed at {point} and in recovery", partial(self._kill_twice, point))

    def refuse(self, error: str, every: int, *, lasting: bool) -> None:
        """Let the disk refuse the call at a sample of the points, once or from there on."""
        how = "from then on" if lasting else "once"
        start = self._random.randrange(every)
        for point in [p for p in self.points if not _OURS.search(p.line)][start::every]:
            words = f"error={error}:when={point.number}{'+' if lasting else ''}"
            self._at(f"{error} at {point}, {how}", partial(self._refuse, point.name, words))

    def _at(self, where: str, act: Callable[[Path], Sequence[str]]) -> None:
        """One run on a fresh copy, its recovery and the comparison."""
        root = self.stage.copy()
        reports = act(root)
        digest = self._finish(root, reports, where)
        if digest is not None and self._first is not None:
            for name, got, want in digest.differences(self._first):
                self._note(where, f"{name} is {got}, unharmed {want}")
        shutil.rmtree(root)

    def _kill(self, point: Call, root: Path) -> Sequence[str]:
        ended = self._run(root, point.name, f"signal=KILL:when={point.number}")
        self.tally.kills += 1
        if ended.status != _KILLED and not self.scenario.has_children:
            self._note(str(point), f"was not killed: {ended.status} {ended.errors}")
        return ended.reports

    def _kill_twice(self, point: Call, root: Path) -> Sequence[str]:
        reports = self._kill(point, root)
        second = self._random.choice(self.points)
        again = self._run(root, second.name, f"signal=KILL:when={second.number}")
        self.tally.kills_in_recovery += again.status == _KILLED
        return [*reports, *again.reports]

    def _refuse(self, name: str, words: str, root: Path) -> Sequence[str]:
        ended = self._run(root, name, words)
        self.tally.refusals += 1
        self.tally.raised += ended.status == REFUSED
        if ended.status not in (0, REFUSED):
            self._note(words, f"ended with {ended.status}: {ended.errors[-1500:]}")
        return ended.reports

    def _run(self, root: Path, at: str = "", what: str = "") -> strace.Ended:
        return strace.run(lambda: self._act(root), at, what)

    def _act(self, root: Path) -> int:
        """In the child: what the process of the service does, tried anew after its own errors."""
        for _ in range(TRIES):
            life = self.scenario.live(root, partial(strace.say, 1))
            try:
                self.scenario.act(life)
            except ThermalError as error:
                strace.say(2, f"{type(error).__name__}: {error}")
                life.end()
            else:
                return 0
        return REFUSED

    def _finish(self, root: Path, reports: Sequence[str], where: str) -> Digest | None:
        """Act again as the next start does, to the end, and judge; the digest of the result."""
        told = list(reports)
        life = self.scenario.live(root, told.append)
        try:
            self.scenario.act(life)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self._note(where, f"recovery: {error!r}")
            return None
        finally:
            life.end()
        judge = Judge(life.device.directory, self._found)
        for problem in judge.problems(told):
            self._note(where, problem)
        return judge.digest

    def _note(self, where: str, what: str) -> None:
        self.tally.problems.append(f"{self.name}, {where}: {what}")


def _points(calls: Sequence[Call], stride: int) -> list[Call]:
    """The calls that are tried: the process' own; of a run of equal ones, the first."""
    found = []
    for call in calls:
        page = _PAGE_OF_SHM.search(call.line)
        if call.process == calls[0].process and (page is None or int(page.group(1)) % _RUN == 4095):
            found.append(call)
    return found[::stride]
