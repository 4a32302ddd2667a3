"""The computer's own readings, from files that a test writes."""

from pathlib import Path

import pytest

from collector.host import Host

MEMINFO = "MemTotal: 1000000 kB\nMemFree: 100000 kB\nMemAvailable:  750000 kB\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root with proc and thermal zones as on a Raspberry Pi."""
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "stat").write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n")
    (proc / "meminfo").write_text(MEMINFO)
    for index, (kind, text) in enumerate([("gpu-thermal", "51000"), ("cpu-thermal", "42350\n")]):
        zone = tmp_path / "thermal" / f"thermal_zone{index}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(text)
    return tmp_path


def host(machine: Path, directory: Path | None = None) -> Host:
    """Its readings."""
    return Host(directory or machine, proc=machine / "proc", thermal=machine / "thermal")


def test_temperature_is_that_of_the_processors_zone(machine: Path) -> None:
    """The zone is found by its type, not by its number."""
    assert host(machine).read().cpu_temperature_c == 42.35


@pytest.mark.parametrize("text", ["", "warm", "4 2"])
def test_a_temperature_that_cannot_be_read_is_none(machine: Path, text: str) -> None:
    """Nonsense or a vanished zone give None; once it reads again the value is back."""
    readings = host(machine)
    temp = machine / "thermal" / "thermal_zone1" / "temp"
    temp.write_text(text)
    assert readings.read().cpu_temperature_c is None
    temp.unlink()
    assert readings.read().cpu_temperature_c is None
    temp.write_text("40000")
    assert readings.read().cpu_temperature_c == 40.0


def test_without_a_processors_zone_there_is_no_temperature(machine: Path) -> None:
    """A zone of something else is not taken instead, nor is a missing directory an error."""
    (machine / "thermal" / "thermal_zone1" / "type").write_text("battery")
    assert host(machine).read().cpu_temperature_c is None
    absent = Host(machine, proc=machine / "proc", thermal=machine / "nowhere")
    assert absent.read().cpu_temperature_c is None


def test_processor_share_is_between_two_readings(machine: Path) -> None:
    """30 busy of 120 jiffies; waiting for the disk is idle."""
    readings = host(machine)
    assert readings.read().cpu_percent is None
    (machine / "proc" / "stat").write_text("cpu  120 0 110 770 120 0 0 0 0 0\n")
    assert readings.read().cpu_percent == pytest.approx(25.0)
    assert readings.read().cpu_percent is None


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu a b c d e\n", "intr 1 2 3 4 5 6\n"])
def test_a_broken_stat_is_none(machine: Path, text: str) -> None:
    """None now and at the next reading, which has nothing to compare with."""
    readings = host(machine)
    (machine / "proc" / "stat").write_text(text)
    assert readings.read().cpu_percent is None
    (machine / "proc" / "stat").write_text("cpu  120 0 110 770 120 0 0 0 0 0\n")
    assert readings.read().cpu_percent is None


def test_memory_counts_what_is_available(machine: Path) -> None:
    """Caches are available memory, although not free."""
    assert host(machine).read().memory_percent == pytest.approx(25.0)


@pytest.mark.parametrize("text", ["", "MemTotal:\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "x"])
def test_a_broken_meminfo_is_none(machine: Path, text: str) -> None:
    """No field, no number, no memory."""
    (machine / "proc" / "meminfo").write_text(text)
    assert host(machine).read().memory_percent is None


def test_disk_is_that_of_the_directory(machine: Path) -> None:
    """Free room of its file system in 10^6 bytes; a missing directory is None."""
    free_mb = host(machine).read().disk_free_mb
    assert free_mb is not None
    assert free_mb > 0
    assert host(machine, machine / "nowhere").read().disk_free_mb is None


def test_this_computer_has_memory_and_disk(tmp_path: Path) -> None:
    """The real /proc is understood."""
    readings = Host(tmp_path).read()
    assert readings.memory_percent is not None
    assert 0 < readings.memory_percent < 100
    assert readings.disk_free_mb is not None
