"""The table at the end: ours beside the peers', as text. Pure."""

from collections.abc import Iterable, Sequence

from tests.torture.figures import NOTES, PEERS, Figures
from tests.torture.run import Outcome

HEAD = ("system", "produced", "kills", "lost", "duplicated")


def table(ours: Outcome) -> list[str]:
    """The lines of the table, and what must be said with them."""
    system = f"thermal ({ours.under_fire:,} rows under fire, the rest after healing)"
    mine = Figures(system, ours.produced, sum(ours.kills), ours.lost, ours.duplicated)
    rows = [_cells(figures) for figures in (mine, *PEERS)]
    width = max(len(row[0]) for row in rows)
    return [*(_line(row, width) for row in (HEAD, *rows)), "", *_said(ours), *NOTES]


def _cells(figures: Figures) -> tuple[str, ...]:
    numbers = (figures.produced, figures.kills, figures.lost, figures.duplicated)
    return (figures.system, *(f"{number:,}" for number in numbers))


def _line(cells: Sequence[str], width: int) -> str:
    return f"{cells[0]:<{width}}  " + "  ".join(f"{cell:>10}" for cell in cells[1:])


def _said(ours: Outcome) -> Iterable[str]:
    """What our own line is made of."""
    collector, shipper = ours.kills
    missed, told = ours.holes
    met, lost_replies = ours.met
    yield (
        f"thermal: {ours.backlog:,} rows lay in the spool before (its own store wrote them), "
        f"{ours.live:,} were taken live; {ours.under_fire:,} were committed under fire."
    )
    yield (
        f"kills: {collector} collector, {shipper} shipper; {met} requests got a 503, "
        f"{lost_replies} were carried out and lost their answer."
    )
    yield f"ticks that no row holds: {missed}, of which gap rows tell {told}."
