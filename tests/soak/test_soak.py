"""The soak: its figures reach the document, it goes on where it stopped, and it sees violations."""

from collections import Counter
from pathlib import Path

import pytest

from tests.soak import __main__ as command
from tests.soak import engine, report, simulated
from tests.soak.section import Piece, Section
from tests.soak.state import Done, SoakState


def _three(number: int) -> Piece:
    """A proof whose seventh piece finds something."""
    found = (f"look at {number}",) if number == 6 else ()
    return Piece(Counter(things=3, squares=number * number), found)


THREES = Section("threes", "threes of things", _three, "things", 12)


def test_a_section_is_worked_to_its_target_and_goes_on_there(tmp_path: Path) -> None:
    """The state tells how many pieces are done; a further run begins behind them."""
    told: list[str] = []
    done = engine.work(THREES, SoakState(tmp_path), engine.Effort(2), told.append)
    assert (done.pieces, done.counts["things"], done.violations) == (4, 12, [])
    assert "12 of 12 things (100 %)" in told[-1]
    more = Section("threes", "threes of things", _three, "things", 24)
    done = engine.work(more, SoakState(tmp_path), engine.Effort(2), told.append)
    assert done.pieces == 8
    assert done.counts["squares"] == sum(n * n for n in range(8))
    assert done.violations == ["look at 6"]
    assert SoakState(tmp_path).of("threes") == done
    assert engine.work(more, SoakState(tmp_path), engine.Effort(2), told.append).pieces == 8


def test_time_that_is_up_ends_a_section_between_two_pieces(tmp_path: Path) -> None:
    """What was done until then counts."""
    done = engine.work(THREES, SoakState(tmp_path), engine.Effort(1, until_s=0.0), lambda _: None)
    assert done.pieces == 1
    assert SoakState(tmp_path).of("threes").pieces == 1


def test_the_figures_stand_between_the_marks(tmp_path: Path) -> None:
    """The document is made if it is not there, and what stands around the marks stays."""
    path = tmp_path / "guarantees.md"
    done = {"threes": Done(4, 90.0, Counter(things=1_234_567, other=5), ["x"])}
    text = report.table([THREES], done, "2026-01-01, Python 3.11")
    report.write(path, text)
    assert path.read_text().startswith("# Guarantees")
    assert "| threes of things | things | 1,234,567 |" in path.read_text()
    assert "| threes of things | violations | 1 |" in path.read_text()
    assert "| threes of things | minutes | 1.5 |" in path.read_text()
    path.write_text(f"# Ours\n\nbefore\n{path.read_text()}after\n")
    report.write(path, "second\n")
    written = path.read_text()
    assert "1,234,567" not in written
    assert written.startswith("# Ours\n\nbefore\n")
    assert written.endswith("after\n")
    assert written.count(report.BEGIN) == written.count(report.END) == 1


def test_a_document_without_marks_gets_them_and_one_with_half_of_them_is_refused(
    tmp_path: Path,
) -> None:
    """Nothing that a person wrote is overwritten by guessing."""
    path = tmp_path / "guarantees.md"
    path.write_text("# Ours\n\nwords\n")
    report.write(path, "figures\n")
    assert path.read_text().startswith("# Ours\n\nwords\n")
    assert f"{report.BEGIN}\nfigures\n{report.END}" in path.read_text()
    path.write_text(f"{report.END}\n{report.BEGIN}\n")
    with pytest.raises(ValueError, match="expected one"):
        report.write(path, "figures\n")
    assert path.read_text() == f"{report.END}\n{report.BEGIN}\n"


def test_the_command_runs_the_simulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small run to its end: a table, no violation, and nothing written when dry."""
    document = tmp_path / "guarantees.md"
    given = ["--events", "500", "--state", str(tmp_path / "s"), "--document", str(document)]
    assert command.main([*given, "--only", "simulation", "--dry-run"]) == 0
    assert not document.exists()
    assert "| seeded simulation, seeds from 0 | violations | 0 |" in capsys.readouterr().out
    assert command.main([*given, "--only", "simulation"]) == 0
    assert "| seeded simulation, seeds from 0 | crash events |" in document.read_text()


def test_a_violation_names_the_command_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a history that breaks is counted and can be looked at."""
    broken = (7, "lost", Counter(kills=2))
    monkeypatch.setattr(simulated, "attempt", lambda seed, climate: broken)
    piece = simulated.work(0)
    assert len(piece.violations) == simulated.SEEDS
    assert piece.counts["crash events"] == 2 * simulated.SEEDS
    assert piece.violations[1] == (
        'python -m tests.model.simulation --seed 1 --climate "storm": lost'
    )


def test_a_target_for_no_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The command tells what it expected."""
    with pytest.raises(SystemExit):
        command.main(["--target", "nothing=3"])
    assert "expected one of simulation" in capsys.readouterr().err
