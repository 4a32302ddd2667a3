"""The proofs that a soak consists of; a further one is one more line."""

from typing import Final

from tests.soak import simulated
from tests.soak.section import Section

SECTIONS: Final = (
    Section(
        "simulation",
        "seeded simulation, seeds from 0",
        simulated.work,
        "crash events",
        10_000_000,
    ),
)
