"""The bus that is a file: other processes, their deaths, and its own."""

import errno
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from smbus2 import SMBus, i2c_msg

from tests.conformance.bus_benches import ROOT, start_server, stop_server
from tests.emulators import fuse_bus
from tests.emulators.fuse_bus import fuse_available, namespace_prefix

I2C_FUNCS, I2C_RDWR, I2C_SMBUS = 0x0705, 0x0707, 0x0720

CLIENT = """
import sys
from smbus2 import SMBus, i2c_msg
with SMBus(sys.argv[1]) as bus:
    for _ in range(int(sys.argv[2])):
        answer = i2c_msg.read(0x63, 3)
        bus.i2c_rdwr(i2c_msg.write(0x63, [0xEF, 0xC8]), answer)
    print(bytes(answer).hex())
"""


@pytest.fixture(autouse=True, scope="module")
def fuse() -> None:
    """Skips aloud where no bus can be a file."""
    reason = fuse_available()
    if reason is not None:
        pytest.skip(f"no bus as a file here: {reason}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the bus will be."""
    return tmp_path / "i2c-1"


@pytest.fixture
def server(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A running bus with a control and a trace file beside it."""
    process = start_server(path, path.with_name("control"), "--trace", str(path.with_name("trace")))
    yield process
    if process.poll() is None:
        assert stop_server(process) == 0
    assert str(path) not in Path("/proc/mounts").read_text()


def client(path: Path, times: int = 1) -> subprocess.Popen[str]:
    """Unmodified smbus2 in a process that knows nothing of us."""
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(path), str(times)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def ask(path: Path) -> str:
    """The product id, as a fresh client gets it."""
    process = client(path)
    told, complaint = process.communicate(timeout=20)
    assert process.returncode == 0, complaint
    return told.strip()


def test_unmodified_smbus2_in_another_process(path: Path, server: subprocess.Popen[str]) -> None:
    """A combined write and read through the real library, and its trace."""
    time.sleep(0.01)
    assert ask(path) == "004805"
    lines = [json.loads(line) for line in path.with_name("trace").read_text().splitlines()]
    assert [(x["op"], x["address"], x["bytes"], x["errno"]) for x in lines] == [
        ("write", "0x63", "efc8", 0),
        ("read", "0x63", "004805", 0),
    ]


def test_the_adapter_offers_plain_i2c_only(path: Path, server: subprocess.Popen[str]) -> None:
    """smbus2 asks at open; SMBus calls are refused as by an adapter without them."""
    with SMBus(str(path)) as bus:
        assert bus.funcs == 1
        with pytest.raises(OSError) as caught:
            bus.read_byte_data(0x62, 0)
        assert caught.value.errno == errno.EOPNOTSUPP


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        (struct.pack("<QI4x", 0, 0), errno.EINVAL),
        (struct.pack("<QI4x", 0, 43), errno.EINVAL),
        (struct.pack("<QI4x", 8, 1), errno.EFAULT),
    ],
    ids=["no messages", "too many", "bad pointer"],
)
def test_bad_requests_are_refused_and_survived(
    path: Path, server: subprocess.Popen[str], argument: bytes, number: int
) -> None:
    """Nonsense gets the kernel's answer and the next client is served."""
    fd = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(OSError) as caught:
            fcntl.ioctl(fd, I2C_RDWR, bytearray(argument))
    finally:
        os.close(fd)
    assert caught.value.errno == number
    assert ask(path) == "004805"


def test_reads_and_writes_of_the_file_are_refused(
    path: Path, server: subprocess.Popen[str]
) -> None:
    """Only ioctls are answered; a cat of the bus does no harm."""
    with pytest.raises(OSError):
        path.read_bytes()
    assert ask(path) == "004805"


def test_clients_killed_in_the_middle_of_an_ioctl(
    path: Path, server: subprocess.Popen[str]
) -> None:
    """SIGKILL while the bus is slow: the client ends, the server lives, the next is served."""
    path.with_name("control").write_text("slow=0.3")
    for _ in range(3):
        process = client(path, times=100)
        deadline_s = time.monotonic() + 10
        seen = len(path.with_name("trace").read_text())
        while len(path.with_name("trace").read_text()) == seen:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        process.kill()
        assert process.wait(timeout=5) == -signal.SIGKILL
        process.communicate()
    path.with_name("control").write_text("ok")
    assert server.poll() is None
    assert ask(path) == "004805"


def test_many_clients_at_once(path: Path, server: subprocess.Popen[str]) -> None:
    """Combined transfers of several processes do not disturb each other."""
    processes = [client(path, times=50) for _ in range(3)]
    told = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert told == ["004805"] * 3


def test_a_killed_server_leaves_an_error_not_a_hang(path: Path) -> None:
    """Old handles and new opens fail at once, and the next server takes the path over."""
    control = path.with_name("control")
    first = start_server(path, control)
    bus = SMBus(str(path))
    first.kill()
    first.communicate()
    with pytest.raises(OSError) as caught:
        bus.i2c_rdwr(i2c_msg.write(0x63, [0xEF, 0xC8]))
    assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    with pytest.raises(OSError):
        SMBus(str(path))
    second = start_server(path, control)
    assert ask(path) == "004805"
    assert stop_server(second) == 0
    assert str(path) not in Path("/proc/mounts").read_text()


def test_stopping_while_a_client_waits(path: Path, server: subprocess.Popen[str]) -> None:
    """SIGTERM ends a slow transfer too: the server leaves within a second, the client too."""
    path.with_name("control").write_text("slow=30")
    process = client(path)
    time.sleep(0.5)
    began_s = time.monotonic()
    assert stop_server(server) == 0
    assert time.monotonic() - began_s < 2.0
    process.communicate(timeout=10)
    assert not path.exists()


def test_a_path_in_use_is_refused(path: Path, server: subprocess.Popen[str]) -> None:
    """A second server on the same path says so and disturbs nothing."""
    second = subprocess.run(
        [sys.executable, "-m", "tests.emulators.fuse_bus", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=20,
    )
    assert second.returncode == 1
    assert "mounted here already" in second.stderr
    assert ask(path) == "004805"


def test_without_any_rights_but_a_user_namespace(tmp_path: Path) -> None:
    """Server and client inside ``unshare -Urm``: nothing of it is seen outside."""
    path = tmp_path / "i2c-1"
    script = (
        f"{sys.executable} -m tests.emulators.fuse_bus {path} & "
        f"while ! grep -q {path} /proc/mounts; do sleep 0.05; done; "
        f"{sys.executable} -c '{CLIENT}' {path} 1; status=$?; kill $!; wait $!; exit $status"
    )
    reason = fuse_bus._try_mount_inside_namespace()
    if reason is not None:
        pytest.skip(f"no user namespace here: {reason}")
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "004805" in done.stdout
    assert str(path) not in Path("/proc/mounts").read_text()


def test_the_reason_is_told_when_there_is_no_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No node and no permission are different reasons."""
    monkeypatch.setattr(fuse_bus, "DEVICE", tmp_path / "fuse")
    assert "no " in str(fuse_available())
    (tmp_path / "fuse").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission" in str(fuse_available())


def test_the_prefix_is_a_command_that_may_mount() -> None:
    """Put before a command, it makes the mount possible."""
    prefix = namespace_prefix()
    assert prefix in ([], ["unshare", "-Urm"])
    code = "import sys; from tests.emulators import fuse_bus as f; sys.exit(f._try_mount())"
    done = subprocess.run([*prefix, sys.executable, "-c", code], check=False, cwd=ROOT)
    assert done.returncode == 0
