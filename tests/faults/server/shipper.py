"""One life of the shipper on a test's clock: the parts that ``shipper.app`` connects, connected."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from common import __version__
from common.logs import Log
from common.metrics import new_registry
from common.notify import Notifier
from common.settings import Settings, SnowflakeSettings
from common.spool.row import row_crc
from shipper.auth import sign
from shipper.auth.credentials import Tools, make_credential
from shipper.auth.server_time import ServerTime
from shipper.backoff import delays
from shipper.drain import Drain, Setup
from shipper.endpoint import find_endpoint, make_transport
from shipper.metrics import ShipperMetrics
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.watch import Watch, Watched
from tests.faults.server.line import Line
from tests.tools.spools import HARDWARE, Device

CLOCK_WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a life of the shipper finds.

    Attributes:
        device: its disk and clock.
        line: its network.
        table: the settings of the server.
        log: where it writes.
        limits: of the protocol.
    """

    device: Device
    line: Line
    table: SnowflakeSettings
    log: Log
    limits: Limits


def sign_here(module: str, stdin: bytes, _timeout_s: float) -> bytes:
    """What the signing child does, without a child."""
    assert module == "shipper.auth.sign"
    return json.dumps(sign.answer(json.loads(stdin))).encode()


class _Told(Notifier):
    """What systemd would be told; only the status line is kept."""

    line = ""

    def status(self, text: str) -> None:
        """See ``Notifier``."""
        self.line = text


class _Alarms(Watch):
    """The product's observer, which also remembers the alarms."""

    def __init__(self, metrics: ShipperMetrics, log: Log, told: _Told, device: Device) -> None:
        super().__init__(metrics, log, told, device.clock)
        self.raised: set[str] = set()

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``."""
        self.raised.add(f"{kind}: {message}")
        super().alarm(kind, message)


class Shipper:
    """One process; ``step`` is one turn of its loop.

    Attributes:
        registry: its metrics.
        drain: its drain.
        transport: its transport.
    """

    def __init__(self, around: Surroundings, exposure: AbstractContextManager[object]) -> None:
        device, clock = around.device, around.device.clock
        self.ledger, self.spool = device.ledger(), device.reader()
        self.registry = new_registry(__version__)
        metrics = ShipperMetrics(self.registry, clock)
        self._told = _Told(clock)
        self.watch = _Alarms(metrics, around.log, self._told, device)
        settings = Settings(device.directory / "thermal.toml", snowflake=around.table)
        endpoint = find_endpoint(settings, around.log.hide)
        tools = Tools(ServerTime(clock), clock, sign_here, around.log.hide)
        credential = make_credential(
            endpoint.settings.snowflake, endpoint.inline, endpoint.account, tools
        )
        self.transport = make_transport(endpoint, credential, tools, metrics.took)
        around.line.plug_into(self.transport._wire)
        self.world = World(self.spool, self.ledger, self.transport, clock, self.watch, exposure)
        limits = around.limits
        setup = Setup(
            endpoint.target, Present(str(endpoint.target), HARDWARE), limits, delays(limits),
            CLOCK_WAIT_S, lambda: str(uuid4()), row_crc,
        )
        self.drain = Drain(self.world, setup)
        self._watched = Watched(self.spool, self.ledger, self.transport)

    def step(self) -> float:
        """One step of the drain, and a look for those who watch; the wait it asks for, seconds."""
        wait_s = self.drain.step()
        self.watch.look(self._watched)
        return wait_s

    def says(self) -> set[str]:
        """The status line, the reason and the alarms as they are now."""
        return {self._told.line, self.drain.reason, *self.watch.raised}

    def acknowledged(self) -> int:
        """The seq of the licence to trim; 0: none."""
        found = self.ledger.progress().acknowledged
        return 0 if found is None else found.seq

    def close(self) -> None:
        """The process is gone; what it had open is closed, as the kernel would."""
        self.transport.close()
        self.spool.close()
        self.ledger.close()
