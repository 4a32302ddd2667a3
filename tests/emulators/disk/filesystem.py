"""A file system in memory behind a mount: it does what is asked, and notes every change in order.

The kernel's page cache is used as by any file system, so SQLite may map its ``-shm`` files; every
write(2) still comes here before it returns. Locks are the kernel's own. Names and attributes are
never cached by the kernel, so that the disk can be another one from one request to the next: that
is the power cut (``Order.generation``). The processes that had files open must be dead then.
"""

import errno
import os
import stat
import struct
import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final

from tests.emulators.disk.faults import Faults, Order, first_number
from tests.emulators.disk.operations import Kind, Name, Operation, encode
from tests.emulators.disk.tree import Node, Tree
from tests.emulators.fuse import Mount, Request, Requests

WRITE_BYTES_MAX: Final = 1 << 17
_BLOCK: Final = 4096
_KEEP_CACHE: Final = 2
_BIG_WRITES: Final = 1 << 5
_SET_SIZE: Final = 1 << 3

_INIT_OUT: Final = struct.Struct("<IIIIHHIIHHI28x")
_ATTR: Final = struct.Struct("<6Q10I")
_ATTR_OUT: Final = struct.Struct("<QII")
_ENTRY_OUT: Final = struct.Struct("<QQQQII")
_OPEN_OUT: Final = struct.Struct("<QII")
_STATFS_OUT: Final = struct.Struct("<5QIII28x")
_DIRENT: Final = struct.Struct("<QQII")
_SETATTR_IN: Final = struct.Struct("<IIQQ")
_READ_IN: Final = struct.Struct("<QQI")
_WRITE_IN: Final = struct.Struct("<QQIIQII")
_FALLOCATE_IN: Final = struct.Struct("<QQQII")


class _Opcode(IntEnum):
    """The requests that are answered; all others get ENOSYS."""

    LOOKUP = 1
    GETATTR = 3
    SETATTR = 4
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    ACCESS = 34
    CREATE = 35
    DESTROY = 38
    FALLOCATE = 43
    RENAME2 = 45


_NOTHING_TO_DO: Final = (
    _Opcode.RELEASE, _Opcode.RELEASEDIR, _Opcode.FLUSH, _Opcode.ACCESS, _Opcode.DESTROY,
)


class FileSystem(Requests):
    """See the module.

    Args:
        mount: where it is mounted.
        control: file with the ``Order`` of now; looked at before each request.
    """

    def __init__(self, mount: Mount, control: Path) -> None:
        super().__init__(mount, WRITE_BYTES_MAX + (1 << 13))
        self._control = control
        self._seen: tuple[int, int] | None = None
        self._generation = 0
        self._tree = Tree()
        self._log: BinaryIO | None = None
        self._faults = Faults()
        self._answers: dict[int, Callable[[Request], bytes]] = {
            _Opcode.LOOKUP: self._lookup, _Opcode.GETATTR: self._getattr,
            _Opcode.SETATTR: self._setattr, _Opcode.MKDIR: self._mkdir,
            _Opcode.UNLINK: self._unlink, _Opcode.RMDIR: self._unlink,
            _Opcode.RENAME: self._rename, _Opcode.RENAME2: self._rename,
            _Opcode.LINK: self._link, _Opcode.READ: self._read, _Opcode.WRITE: self._write,
            _Opcode.STATFS: self._statfs, _Opcode.FSYNC: self._sync,
            _Opcode.FSYNCDIR: self._sync, _Opcode.INIT: _init, _Opcode.READDIR: self._readdir,
            _Opcode.CREATE: self._create, _Opcode.FALLOCATE: self._fallocate,
            _Opcode.OPEN: _opened, _Opcode.OPENDIR: _opened,
            **dict.fromkeys(_NOTHING_TO_DO, lambda request: b""),
        }

    def answer(self, request: Request) -> tuple[int, bytes] | None:
        """See ``Requests``."""
        self._obey()
        found = self._answers.get(request.opcode)
        if found is None:
            return errno.ENOSYS, b""
        if found == self._sync and self._faults.slow_sync_s:
            # Meanwhile the kernel asks for other things, as it does not wait for a card for all.
            late = threading.Timer(self._faults.slow_sync_s, self._answer_late, (request, found))
            late.daemon = True
            late.start()
            return None
        return self._answer(request, found)

    def _answer_late(self, request: Request, found: Callable[[Request], bytes]) -> None:
        self.reply(request, *self._answer(request, found))

    def _answer(self, request: Request, found: Callable[[Request], bytes]) -> tuple[int, bytes]:
        try:
            return 0, found(request)
        except OSError as error:
            return error.errno or errno.EIO, b""

    def _obey(self) -> None:
        """Take over what the control file says, when it is another one than before."""
        status = self._control.stat()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen == self._seen:
            return
        self._seen, order = seen, Order.parse(self._control.read_text())
        self._faults = order.faults
        if order.generation == self._generation:
            return
        self._generation = order.generation
        first = first_number(order.generation)
        self._tree = Tree.load(Path(order.image), first) if order.image else Tree(first)
        if self._log is not None:
            self._log.close()
        self._log = Path(order.log).open("ab", buffering=0)  # noqa: SIM115 - open until the next

    def _do(self, operation: Operation) -> None:
        """Note an operation and do it, unless it is to fail."""
        self._fail(operation.kind.value)
        assert self._log is not None
        self._log.write(encode(operation))
        self._tree.apply(operation)

    def _fail(self, kind: str) -> None:
        number = self._faults.errors.get(kind)
        if number:
            raise OSError(number, os.strerror(number))

    def _node(self, number: int) -> Node:
        try:
            return self._tree.nodes[number]
        except KeyError:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) from None

    def _entries(self, number: int) -> dict[str, int]:
        entries = self._node(number).entries
        if entries is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return entries

    def _named(self, at: Name) -> int:
        try:
            return self._entries(at.parent)[at.name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None

    def _attributes(self, number: int) -> bytes:
        node = self._node(number)
        mode = stat.S_IFREG | 0o660 if node.entries is None else stat.S_IFDIR | 0o770
        blocks, owner = _blocks(node) * _BLOCK // 512, (os.getuid(), os.getgid())
        links = self._tree.names_of(number) if node.entries is None else 2
        return _ATTR.pack(
            number, len(node.data), blocks, 0, 0, 0, 0, 0, 0, mode, links, *owner, 0, _BLOCK, 0
        )

    def _entry(self, number: int) -> bytes:
        return _ENTRY_OUT.pack(number, 0, 0, 0, 0, 0) + self._attributes(number)

    def _lookup(self, request: Request) -> bytes:
        return self._entry(self._named(Name(request.node, _text(request.body))))

    def _getattr(self, request: Request) -> bytes:
        return _ATTR_OUT.pack(0, 0, 0) + self._attributes(request.node)

    def _setattr(self, request: Request) -> bytes:
        valid, _, _, size = _SETATTR_IN.unpack_from(request.body)
        if valid & _SET_SIZE:
            self._make_room(request.node, size)
            self._do(Operation(Kind.TRUNCATE, request.node, offset=size))
        return self._getattr(request)

    def _mkdir(self, request: Request) -> bytes:
        number = self._tree.fresh()
        self._do(Operation(Kind.MKDIR, number, Name(request.node, _text(request.body[8:]))))
        return self._entry(number)

    def _create(self, request: Request) -> bytes:
        number = self._tree.fresh()
        self._do(Operation(Kind.LINK, number, Name(request.node, _text(request.body[16:]))))
        return self._entry(number) + _opened(request)

    def _link(self, request: Request) -> bytes:
        (number,) = struct.unpack_from("<Q", request.body)
        self._node(number)
        self._do(Operation(Kind.LINK, number, Name(request.node, _text(request.body[8:]))))
        return self._entry(number)

    def _unlink(self, request: Request) -> bytes:
        at = Name(request.node, _text(request.body))
        number = self._named(at)
        if self._node(number).entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        self._do(Operation(Kind.UNLINK, number, at))
        return b""

    def _rename(self, request: Request) -> bytes:
        (parent,) = struct.unpack_from("<Q", request.body)
        old, new, *_ = request.body[8 if request.opcode == _Opcode.RENAME else 16 :].split(b"\0")
        before, at = Name(request.node, old.decode()), Name(parent, new.decode())
        self._do(Operation(Kind.RENAME, self._named(before), at, before))
        return b""

    def _read(self, request: Request) -> bytes:
        self._fail("read")
        _, offset, size = _READ_IN.unpack_from(request.body)
        return bytes(self._node(request.node).data[offset : offset + size])

    def _write(self, request: Request) -> bytes:
        _, offset, size, *_ = _WRITE_IN.unpack_from(request.body)
        data = request.body[_WRITE_IN.size : _WRITE_IN.size + size]
        self._make_room(request.node, offset + size)
        self._do(Operation(Kind.WRITE, request.node, offset=offset, data=data))
        return struct.pack("<II", size, 0)

    def _fallocate(self, request: Request) -> bytes:
        _, offset, length, mode, _ = _FALLOCATE_IN.unpack_from(request.body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        size = max(len(self._node(request.node).data), offset + length)
        self._make_room(request.node, size)
        self._do(Operation(Kind.TRUNCATE, request.node, offset=size))
        return b""

    def _sync(self, request: Request) -> bytes:
        directory = self._node(request.node).entries is not None
        self._do(Operation(Kind.SYNC_DIRECTORY if directory else Kind.SYNC, request.node))
        return b""

    def _readdir(self, request: Request) -> bytes:
        _, offset, size = _READ_IN.unpack_from(request.body)
        told = b""
        for place, (name, number) in enumerate(self._entries(request.node).items(), 1):
            raw = name.encode()
            kind = stat.S_IFREG if self._node(number).entries is None else stat.S_IFDIR
            record = _DIRENT.pack(number, place, len(raw), kind >> 12) + raw
            record += bytes(-len(record) % 8)
            if place > offset and len(told) + len(record) <= size:
                told += record
        return told

    def _statfs(self, request: Request) -> bytes:
        blocks = self._faults.bytes_max // _BLOCK
        free = max(0, blocks - _used(self._tree))
        return _STATFS_OUT.pack(blocks, free, free, 1 << 20, 1 << 20, _BLOCK, 255, _BLOCK)

    def _make_room(self, number: int, end: int) -> None:
        """Refuse a write for which the disk is too small."""
        more = -(-end // _BLOCK) - _blocks(self._node(number))
        if more > 0 and (_used(self._tree) + more) * _BLOCK > self._faults.bytes_max:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _init(request: Request) -> bytes:
    return _INIT_OUT.pack(7, 31, WRITE_BYTES_MAX, _BIG_WRITES, 16, 12, WRITE_BYTES_MAX, 1, 32, 0, 0)


def _opened(request: Request) -> bytes:
    return _OPEN_OUT.pack(0, _KEEP_CACHE, 0)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode()


def _used(tree: Tree) -> int:
    return sum(_blocks(node) for _, node in tree.files())


def _blocks(node: Node) -> int:
    return -(-len(node.data) // _BLOCK)
