"""The damageable disk does what SQLite needs, and its images keep what barriers promised."""

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulators.disk.crash import (
    DAMAGES,
    HonestCard,
    LyingCard,
    choices_of_names,
    lose,
    sectors,
    survive,
    tear,
)
from tests.emulators.disk.disk import mounted
from tests.emulators.disk.faults import Faults
from tests.emulators.disk.operations import ROOT, Kind, Name, Operation, encode, read_log
from tests.emulators.disk.tree import Tree
from tests.faults.card.support import needs_disk

A, B = 7, 8
"""Numbers of two files."""


def _write(node: int, offset: int, data: bytes) -> Operation:
    return Operation(Kind.WRITE, node, offset=offset, data=data)


def _named(tree: Tree) -> dict[str, bytes]:
    return {str(path): bytes(node.data) for path, node in tree.files() if node.entries is None}


def _workload(directory: Path) -> list[str]:
    """What the product does to a file, and more; returns the file's whole content as SQL."""
    with contextlib.closing(sqlite3.connect(directory / "x.db", isolation_level=None)) as one:
        one.execute("PRAGMA journal_mode=WAL").fetchall()
        one.execute("PRAGMA wal_autocheckpoint=5").fetchall()
        one.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT")
        reader = f"file:{directory}/x.db?mode=ro"
        with contextlib.closing(sqlite3.connect(reader, uri=True)) as two:
            for n in range(200):
                one.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * (n * 7 % 900)))
                if n % 10 == 9:
                    one.execute("DELETE FROM t WHERE a % 7 = ?", (n % 7,))
                    assert two.execute("SELECT max(a) FROM t").fetchone()[0] in (n, n - 1)
        one.execute("VACUUM")
        assert one.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(one.iterdump())


@needs_disk
def test_sqlite_makes_the_same_file_as_in_memory(tmp_path: Path) -> None:
    """Write-ahead log with shared memory, two connections, checkpoints, vacuum."""
    with mounted() as disk:
        assert _workload(disk.mount) == _workload(tmp_path)
        assert (disk.mount / "x.db").read_bytes()[100:] == (tmp_path / "x.db").read_bytes()[100:]
        assert [path.name for path in disk.mount.iterdir()] == ["x.db"]


@needs_disk
def test_the_last_image_of_the_log_is_what_the_disk_holds(tmp_path: Path) -> None:
    """Names, links, renames, sizes: the log forgets nothing that was done."""
    with mounted() as disk:
        (disk.mount / "d" / "e").mkdir(parents=True)
        (disk.mount / "d" / "one").write_bytes(b"1" * 5000)
        os.link(disk.mount / "d" / "one", disk.mount / "two")
        (disk.mount / "d" / "one").rename(disk.mount / "d" / "e" / "three")
        with (disk.mount / "two").open("r+b") as file:
            file.truncate(100)
            os.posix_fallocate(file.fileno(), 0, 9000)
        assert (disk.mount / "two").stat().st_nlink == 2
        with pytest.raises(OSError, match="not empty"):
            (disk.mount / "d").rmdir()
        (disk.mount / "four").touch()
        (disk.mount / "four").unlink()
        tree = disk.base.copy()
        for record in disk.records():
            tree.apply(record.operation)
        tree.export(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "d", "d/e", "d/e/three", "two",
    ]
    assert (tmp_path / "two").samefile(tmp_path / "d" / "e" / "three")
    assert (tmp_path / "two").read_bytes() == b"1" * 100 + bytes(8900)


@needs_disk
def test_a_power_cut_makes_it_another_disk_at_once(tmp_path: Path) -> None:
    """The mount stays, nothing of the former life is left in any cache."""
    with mounted() as disk:
        (disk.mount / "old").write_bytes(b"old")
        (disk.mount / "both").write_bytes(b"before")
        (tmp_path / "both").write_bytes(b"after")
        disk.become(tmp_path)
        assert {path.name: path.read_bytes() for path in disk.mount.iterdir()} == {"both": b"after"}
        assert disk.records() == []


@needs_disk
def test_faults_reach_the_caller() -> None:
    """A full disk, a barrier that fails, one that is slow; and all is well afterwards."""
    with mounted() as disk:
        file = os.open(disk.mount / "f", os.O_RDWR | os.O_CREAT)
        try:
            disk.fault(Faults(bytes_max=8192))
            assert os.pwrite(file, bytes(8192), 0) == 8192
            with pytest.raises(OSError, match="No space left"):
                os.pwrite(file, b"x", 8192)
            assert os.statvfs(disk.mount).f_bavail == 0
            disk.fault(Faults(errors={"sync": errno.EIO}))
            with pytest.raises(OSError, match="Input/output error"):
                os.fsync(file)
            disk.fault(Faults(slow_sync_s=0.2))
            start_s = time.monotonic()
            os.fsync(file)
            assert time.monotonic() - start_s >= 0.2
            disk.fault(Faults())
            os.fsync(file)
        finally:
            os.close(file)


def test_a_log_that_ends_in_the_middle_of_a_record_is_read_up_to_it(tmp_path: Path) -> None:
    """The test reads while the disk writes."""
    operations = [
        Operation(Kind.LINK, A, Name(ROOT, "a")),
        _write(A, 3, b"\n{}\n"),
        Operation(Kind.RENAME, A, Name(ROOT, "b"), Name(ROOT, "a")),
    ]
    log = tmp_path / "log"
    log.write_bytes(b"".join(map(encode, operations)) + encode(operations[1])[:-1])
    assert [record.operation for record in read_log(log)] == operations


_OPERATIONS = st.lists(
    st.one_of(
        st.builds(
            _write, st.sampled_from((A, B)), st.integers(0, 3000), st.binary(min_size=1, max_size=9)
        ),
        st.builds(
            lambda node, size: Operation(Kind.TRUNCATE, node, offset=size),
            st.sampled_from((A, B)),
            st.integers(0, 3000),
        ),
        st.builds(
            lambda kind, node, name: Operation(kind, node, Name(ROOT, name)),
            st.sampled_from((Kind.LINK, Kind.UNLINK)),
            st.sampled_from((A, B)),
            st.sampled_from("ab"),
        ),
        st.builds(Operation, st.just(Kind.SYNC), st.sampled_from((A, B))),
        st.just(Operation(Kind.SYNC_DIRECTORY, ROOT)),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(_OPERATIONS, st.sampled_from(sorted(DAMAGES)), st.integers(0, 1000))
def test_what_a_barrier_covered_is_in_every_image(
    operations: list[Operation], damage: str, seed: int
) -> None:
    """Of a file that was not touched since its fsync all bytes, of a directory likewise all names.

    And what waits is either there or not: no image has a byte that nobody wrote.
    """
    card, live = HonestCard(Tree()), Tree()
    for operation in operations:
        card.take(operation)
        live.apply(operation)
    image = card.after_cut(DAMAGES[damage](card.waiting, Random(seed)))
    waiting = {None if o.names else o.node for o in card.waiting}
    for node in {A, B} - waiting:
        assert _data(image, node) == _data(live, node)
    if None not in waiting:
        assert image.nodes[ROOT].entries == live.nodes[ROOT].entries
    assert _named(card.after_cut(survive(card.waiting, Random(0)))) == _named(live)


def _data(tree: Tree, number: int) -> bytes:
    return bytes(tree.nodes[number].data) if number in tree.nodes else b""


def test_what_no_barrier_covered_may_be_missing() -> None:
    """The negative control of the above: names need the directory's barrier, bytes the file's."""
    made = [Operation(Kind.LINK, A, Name(ROOT, "a")), _write(A, 0, b"x" * 1500)]
    for barriers, expected in (
        ([], {}),
        ([Operation(Kind.SYNC, A)], {}),
        ([Operation(Kind.SYNC_DIRECTORY, ROOT)], {"a": b""}),
        ([Operation(Kind.SYNC, A), Operation(Kind.SYNC_DIRECTORY, ROOT)], {"a": b"x" * 1500}),
    ):
        card = HonestCard(Tree())
        for operation in [*made, *barriers]:
            card.take(operation)
        assert _named(card.after_cut(lose(card.waiting, Random(0)))) == expected


def test_a_torn_write_keeps_whole_sectors() -> None:
    """Its parts end where sectors end, and together they are the write."""
    write = _write(A, 1000, bytes(range(256)) * 16)
    parts = list(sectors(write))
    assert [part.offset for part in parts] == [1000, *range(1024, 5096, 512)]
    assert b"".join(part.data for part in parts) == write.data
    kept = [list(tear([write], Random(seed))) for seed in range(30)]
    assert {len(some) for some in kept} > {0, 3}
    assert all(some == parts[: len(some)] for some in kept), "the last write is cut in order"


def test_a_lying_card_loses_what_was_synced() -> None:
    """Its last operations are in the cache, whatever barriers came after them."""
    card = LyingCard(Tree(), cache=1)
    for operation in (
        Operation(Kind.LINK, A, Name(ROOT, "a")), _write(A, 0, b"1"), _write(A, 1, b"2"),
        Operation(Kind.SYNC, A), Operation(Kind.SYNC_DIRECTORY, ROOT),
    ):
        card.take(operation)
    assert _named(card.after_cut(lose(card.waiting, Random(0)))) == {"a": b"1"}


def test_names_are_lost_one_by_one() -> None:
    """Each waiting name alone is lost in some choice, and alone left in another."""
    waiting = [Operation(Kind.LINK, 10 + n, Name(ROOT, f"n{n}")) for n in range(6)]
    kept = [{o.node for o in choice} for choice in choices_of_names(waiting)]
    every = set(range(10, 16))
    for node in every:
        assert every - {node} in kept
        assert {node} in kept
