"""Damaged files: the collector always starts, sampling goes on, and each row is told or sent once.

Each trial takes a copy of a disk and of a server that has two thirds of its rows, damages one file,
and runs both services over it: the real store, upkeep, salvage, ledger and drain, in one process.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.disk import damages
from tests.faults.disk.damages import Hit
from tests.faults.disk.pages import read_map
from tests.faults.disk.recovery import Outcome, recover
from tests.faults.disk.scene import Scene, Shore
from tests.faults.disk.trials import PLACES, drawn, run
from tests.faults.disk.verdict import judge
from tests.tools.spools import Device

FILES = {"spool.db": 720, "ship.db": 240, "spool.db-wal": 120}
"""Damaged files a run: each place with each manner at least twice."""

LIVE = 36
"""Files that are damaged while both services have them open."""


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", FILES)
def test_no_damage_loses_a_row_in_silence(scene: Scene, fast: Path, file: str) -> None:
    """Whatever is damaged: started, sampled, salvaged, and every row arrived once or is told."""
    tally = run(scene, fast / "trials", drawn(file, range(FILES[file])))
    print(f"\n{file}: {tally.line}")
    assert not tally.broken, f"{len(tally.broken)}: {tally.broken[:5]}"
    assert tally.counts["files"] == FILES[file]
    assert tally.counts["refused"] <= FILES[file] // 50
    assert tally.counts["set_aside"] > FILES[file] // 20 or file.endswith("-wal")


@pytest.mark.parametrize("file", PLACES)
def test_a_few_damages_of_each_file(scene: Scene, fast: Path, file: str) -> None:
    """The same for a few files, with seeds that the long run does not use."""
    tally = run(scene, fast / "trials", drawn(file, range(7001, 7200, 9)))
    assert not tally.broken, tally.broken[:3]


@pytest.mark.heavy
def test_damage_under_both_running_services(scene: Scene, fast: Path) -> None:
    """A page goes bad while it is read and written: found, set aside, salvaged, told."""
    aside = 0
    for seed in range(LIVE):
        outcome = _live(scene, fast / f"live-{seed}", seed)
        verdict = judge(scene, outcome)
        aside += outcome.quarantined
        assert not verdict.findings, (seed, verdict.findings[:3])
    print(f"\nlive: files {LIVE} · quarantined {aside}")
    assert aside > LIVE // 5


def _live(scene: Scene, root: Path, seed: int) -> Outcome:
    """One device whose spool is damaged in the second round of both services."""
    device = scene.device(root, "clean", seed, reboot=False)
    random, manner = Random(seed), tuple(damages.MANNERS)[seed % 8]
    place = random.choice(("leaf", "interior", "root readings", "last"))

    def hook(number: int) -> None:
        if number == 1:
            _in_place(device.directory / "spool.db", Hit("spool.db", place, manner), random)

    return recover(device, Shore(device, scene.model), hook)


def _in_place(path: Path, hit: Hit, random: Random) -> None:
    """Damage an open file: its inode stays, and so does its size."""
    before = path.read_bytes()
    copy = path.with_name("copy-of-spool")
    copy.write_bytes(before)
    damages.apply(copy, hit, random)
    with path.open("r+b") as file:
        file.write(copy.read_bytes()[: len(before)])
    copy.unlink()


def _noise(path: Path) -> Callable[[Device], None]:
    return lambda device: _write(device.directory / path, bytes(range(256)) * 3)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _record(text: str) -> Callable[[Device], None]:
    return lambda device: _write(device.runtime / "spool-position.json", text.encode())


def _note(text: str) -> Callable[[Device], None]:
    return lambda device: _write(
        device.directory / "aside" / "unfinished.json", text.encode()
    )


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _gone(name: str) -> Callable[[Device], None]:
    return lambda device: (device.directory / name).unlink(missing_ok=True)


BESIDE: dict[str, Callable[[Device], None]] = {
    "record of noise": _record("\x00\xff{"),
    "record is a list": _record("[1, 2]"),
    "record of other types": _record(
        '{"boot_id": 1, "device": "a", "inode": null, "install_id": [], "epoch": {}, '
        '"last_seq": "x"}'
    ),
    "record is gone": lambda device: (device.runtime / "spool-position.json").unlink(),
    "record is a directory": lambda device: _directory(device.runtime / "spool-position.json"),
    "shm of noise": _noise(Path("spool.db-shm")),
    "shm is gone": _gone("spool.db-shm"),
    "ballast of noise": _noise(Path("ballast")),
    "ballast is gone": _gone("ballast"),
    "ballast is a directory": lambda device: _directory(device.directory / "ballast"),
    "collector lock of noise": _noise(Path("collector.lock")),
    "collector lock is gone": _gone("collector.lock"),
    "exposure lock is gone": _gone("exposure.lock"),
    "note of noise": _note("\x00\x01"),
    "note is a number": _note("7"),
    "note of other types": _note('{"path": 5, "reason": []}'),
    "note of a list as reason": _note('{"path": "x/spool.db", "reason": ["quarantine"]}'),
    "note of a file that is gone": _note('{"path": "gone/spool.db", "reason": "quarantine"}'),
    "note that leads outside": _note('{"path": "../../run/spool.db", "reason": "quarantine"}'),
}


@pytest.mark.parametrize("form", ["clean", "killed"])
@pytest.mark.parametrize("what", BESIDE)
def test_damage_beside_the_databases(scene: Scene, tmp_path: Path, what: str, form: str) -> None:
    """Position record, shared memory, ballast, locks, note: none of them costs a row."""
    device = scene.device(tmp_path, form, 1, reboot=False)
    BESIDE[what](device)
    verdict = judge(scene, recover(device, Shore(device, scene.model)))
    assert not verdict.findings
    assert verdict.arrived == len(scene.truth)


@pytest.mark.parametrize("reboot", [False, True])
def test_all_databases_gone_is_a_new_life_that_says_so(
    scene: Scene, tmp_path: Path, *, reboot: bool
) -> None:
    """Spool and ship.db both destroyed: a new install; the old file is kept, and all is told."""
    device = scene.device(tmp_path, "clean", 1, reboot=reboot)
    for name in ("spool.db", "ship.db"):
        path = device.directory / name
        path.write_bytes(b"\xa5" * path.stat().st_size)
    outcome = recover(device, Shore(device, scene.model))
    assert outcome.home
    assert any(h.name == "spool_set_aside" and h.alarm for h in outcome.happenings)
    gaps = [row["detail"] for row in outcome.arrived if row["kind"] == "gap"]
    assert any(g["reason"] == "inherited" and g["count"] is None for g in gaps)
    assert any("quarantine" in name for name in outcome.aside)


def test_a_trial_without_damage_is_home(scene: Scene, tmp_path: Path) -> None:
    """The control of the controls: nothing damaged, everything arrives, nothing is set aside."""
    device = scene.device(tmp_path, "killed", 1, reboot=True)
    outcome = recover(device, Shore(device, scene.model))
    verdict = judge(scene, outcome)
    assert not verdict.findings
    assert (verdict.arrived, outcome.aside) == (len(scene.truth), [])


def test_every_place_is_there(scene: Scene) -> None:
    """The scene has a page of each kind that a damage names, and a log worth damaging."""
    found = read_map(scene.root / "killed" / "spool" / "spool.db")
    assert found.interior
    assert len(found.leaves) >= 5
    assert found.free
    assert (scene.root / "killed" / "spool" / "spool.db-wal").stat().st_size > 100_000
    assert {trial.hit.place for trial in drawn("spool.db", range(40)) if trial.hit} == set(
        damages.SPOOL_PLACES
    )


