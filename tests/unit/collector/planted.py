"""A mistake planted into the product, and the check that must catch it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]
"""Puts a mistake into the product's own classes, for one test."""


@dataclass(frozen=True)
class Planted:
    """One negative control.

    Attributes:
        check: the check of a fault test, which passes without the mistake.
        plant: puts the mistake in.
        words: what the check must say; a failure for any other reason is none of this control's.
    """

    check: Callable[[], None]
    plant: Plant
    words: str

    @property
    def name(self) -> str:
        """What is checked, and what is wrong."""
        return f"{check_name(self.check)[6:]}-{self.plant.__name__}"

    def assert_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Check the product with the mistake in it."""
        self.plant(monkeypatch)
        with pytest.raises(AssertionError, match=self.words):
            self.check()


def check_name(check: Callable[[], None]) -> str:
    """The name of a check, whether or not its arguments are bound."""
    named: Any = check.func if isinstance(check, partial) else check
    return str(named.__name__)


def checks_of(module: object) -> set[str]:
    """The names of all checks in a module."""
    return {name for name in vars(module) if name.startswith("check_")}
