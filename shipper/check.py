"""The stages of ``thermal-shipper check``: each proves one thing; one that fails says what to do.

config → key → clock → dns → tls → sign-in → pipe, and with test rows also channel → commit.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.cli_check import Result
from common.clock import Clock
from common.config import load
from common.errors import ExitCode, ThermalError
from common.spool.reader import SpoolReader
from shipper.auth.credentials import Tools
from shipper.auth.errors import SignInFailed
from shipper.auth.secret import Hide
from shipper.auth.tokens import Credential
from shipper.endpoint import Endpoint, find_credential, find_endpoint, make_transport
from shipper.protocol.codes import read_body
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import Call, Operation, channel_status
from shipper.sockets import Resolver
from shipper.transport import HttpTransport
from shipper.wire import Outgoing, Wire

DEADLINE_S: Final = 20.0
SKEW_SHOWN_S: Final = 5.0
_RELEASED_S: Final = 1_790_000_000
"""2026-09-21, before this version was made: an earlier clock is surely wrong."""
_CLOCK_REMEDY: Final = "timedatectl shows the clock; without network time, set it with date -s"

EXIT: Final[dict[str, ExitCode]] = {
    "config": ExitCode.CONFIG, "key": ExitCode.CONFIG, "clock": ExitCode.TEMPFAIL,
    "dns": ExitCode.UNAVAILABLE, "tls": ExitCode.PROTOCOL, "sign-in": ExitCode.NOPERM,
    "pipe": ExitCode.PROTOCOL,
}
"""Exit status when a stage fails, unless its error names one; of the test rows it is 1."""
EXIT_NOT_COMMITTED: Final = 1

_REMEDIES: Final[dict[str, str]] = {
    "dns": "check the network and [snowflake] account: the host name comes from it",
    "refused": "nobody listens there: check [snowflake] url, and a firewall on the way",
    "timeout": "no answer: a firewall may drop packets to port 443",
    "network": "check the network: ip route, ping",
    "tls": "something on the way replaces certificates, or ca_file is not the right one",
    "clock": _CLOCK_REMEDY,
    "redirect": "sign in to the network (a captive portal answers), or check [snowflake] url",
}
_PIPE_REMEDIES: Final[dict[str, str]] = {
    "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED":
        "SHOW PIPES; GRANT OPERATE ON PIPE … TO ROLE …; names in [snowflake] are upper case",
    "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED": "SHOW TABLES; GRANT INSERT ON TABLE … TO ROLE …",
    "ERR_TABLE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": "SHOW TABLES; GRANT INSERT ON TABLE … TO ROLE …",
    "ERR_DATABASE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": "GRANT USAGE ON DATABASE … TO ROLE …",
    "ERR_SCHEMA_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": "GRANT USAGE ON SCHEMA … TO ROLE …",
    "ERR_ROLE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED": "GRANT OPERATE ON PIPE … TO ROLE …",
    "ERR_PIPE_IN_INVALID_STATE": "DESC PIPE shows why; mend its table or make the pipe anew",
    "ERR_PIPE_KIND_NOT_SUPPORTED": "the pipe must read DATA_SOURCE(TYPE => 'STREAMING')",
}


class StageFailed(Exception):
    """A stage did not pass.

    Args:
        reason: a word for ``Result.code``.
        message: what was found.
        remedy: what to do.
    """

    def __init__(self, reason: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.remedy = remedy


@dataclass(slots=True)
class Check:
    """What the stages find on their way, for those after them.

    Attributes:
        config: the configuration file.
        clock: the machine's.
        hide: where secrets are announced.
        pipe: check this pipe instead of the configured one; ``None``: that.
    """

    config: Path
    clock: Clock
    hide: Hide
    pipe: str | None = None
    _endpoint: Endpoint | None = None
    _signed: tuple[Credential, Tools] | None = None
    _transport: HttpTransport | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> Endpoint:
        """Known after the stage config."""
        assert self._endpoint is not None
        return self._endpoint

    @property
    def transport(self) -> HttpTransport:
        """Known after the stage tls."""
        assert self._transport is not None
        return self._transport

    def stages(self) -> Iterator[Result]:
        """Run the stages up to the pipe, until one fails."""
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("config", self._config), ("key", self._key), ("clock", self._time),
            ("dns", self._dns), ("tls", self._tls), ("sign-in", self._sign_in),
            ("pipe", self._pipe),
        )
        for name, step in steps:
            result = run_stage(name, step)
            yield result
            if not result.ok:
                return

    def channel(self) -> str:
        """The check's own channel; of the install, or of no install when there is no spool yet."""
        with (
            contextlib.suppress(ThermalError),
            SpoolReader(self.endpoint.settings.spool.directory) as spool,
        ):
            return f"{spool.install().channel}_CHECK"
        return "TH_0000000000000000_CHECK"

    def close(self) -> None:
        """Close connections."""
        if self._transport is not None:
            self._transport.close()

    def _config(self) -> str:
        found = find_endpoint(load(self.config), self.hide)
        if self.pipe is not None:
            target = found.target
            target = type(target)(target.account, target.database, target.schema, self.pipe)
            found = Endpoint(found.settings, found.inline, found.account, target, found.notes)
        self._endpoint = found
        notes = "".join(f"; {note}" for note in found.notes)
        return (
            f"{self.config}: pipe {found.target}, host {found.account.host}, "
            f"account given as {found.account.form}{notes}"
        )

    def _key(self) -> str:
        self._signed = find_credential(self.endpoint, self.clock, self.hide)
        if self._signed[0].kind == "pat":
            return f"access token read from {self.endpoint.settings.snowflake.pat_file}"
        return f"private key {self.endpoint.settings.snowflake.private_key_file} signs"

    def _time(self) -> str:
        if self.clock.realtime_ns() / 1e9 < _RELEASED_S:
            raise StageFailed("wrong", "the clock is before this version was made", _CLOCK_REMEDY)
        if self.clock.synchronised():
            return "synchronised"
        return "not synchronised; the sign-in goes by the server's time"

    def _dns(self) -> str:
        account = self.endpoint.account
        try:
            found = Resolver().resolve(account.host, account.port, DEADLINE_S)
        except OSError as error:
            message = f"{account.host}: {error.strerror}"
            raise StageFailed("failed", message, _REMEDIES["dns"]) from None
        addresses = sorted({str(address[4][0]) for address in found})
        return f"{account.host} is {', '.join(addresses[:4])}"

    def _tls(self) -> str:
        assert self._signed is not None
        tools = self._signed[1]
        wire = Wire(self.clock, self.endpoint.settings.snowflake.ca_file)
        # Without a token: the answer may be any refusal, it only has to come from the server.
        url = f"{self.endpoint.account.url}/v2/streaming/hostname"
        headers = (("Accept", "application/json"),)
        reply = wire.exchange(Outgoing("GET", url, headers, b"", DEADLINE_S))
        wire.close()
        tools.time.learn(reply.headers.get("date"))
        self._transport = make_transport(self.endpoint, *self._signed, _nobody)
        skew_s = tools.time.skew_s()
        if abs(skew_s) < SKEW_SHOWN_S:
            return f"{self.endpoint.account.host} answers, its certificate is good"
        way = "behind" if skew_s > 0 else "ahead of"
        return f"certificate good; our clock is {abs(skew_s):.0f} s {way} the server's"

    def _sign_in(self) -> str:
        bearer = self.transport.sign_in()
        kind = "a scoped token" if bearer.type == "OAUTH" else "the credential itself"
        return f"with {kind}, for ingest host {self.transport.ingest_host()}"

    def _pipe(self) -> str:
        request = channel_status(self.endpoint.target, self.channel(), Call(new_id()))
        reply = self.transport.send(request, DEADLINE_S)
        if reply.status != 200:
            raise pipe_failure(reply)
        if not isinstance((read_body(reply.body).object or {}).get("channel_statuses"), dict):
            raise StageFailed("unfit", "the answer is none of the API's", _REMEDIES["redirect"])
        return f"{self.endpoint.target} takes questions about channels"


def run_stage(name: str, step: Callable[[], str], status: int | None = None) -> Result:
    """Run one stage, and turn whatever it raises into its result."""
    default = EXIT.get(name, EXIT_NOT_COMMITTED) if status is None else status
    try:
        return Result(name, True, step())
    except StageFailed as error:
        return Result(name, False, str(error), f"{name}.{error.reason}", error.remedy, default)
    except SignInFailed as error:
        reason = "refused" if error.refused else "failed"
        return Result(name, False, str(error), f"{name}.{reason}", error.remedy, default)
    except (NotSent, OutcomeUnknown) as error:
        remedy = _REMEDIES.get(error.kind, "try again; the journal has more")
        reached = {"dns", "refused", "timeout", "network"}
        code = ExitCode.UNAVAILABLE if error.kind in reached and status is None else default
        return Result(name, False, str(error), f"{name}.{error.kind}", remedy, code)
    except ThermalError as error:
        return Result(name, False, str(error), f"{name}.invalid", error.hint or "", error.exit_code)


def pipe_failure(reply: HttpReply) -> StageFailed:
    """Why the pipe or the channel is refused."""
    body = read_body(reply.body)
    text = "" if body.message.startswith("<") else body.message
    message = f"HTTP {reply.status} {body.code} {text}".strip()
    remedy = pipe_remedy(body.code)
    if remedy is None and reply.status in (401, 403):
        remedy = "the role may not use the pipe: GRANT OPERATE ON PIPE … TO ROLE …"
    elif remedy is None and reply.status == 404:
        remedy = "check [snowflake] database, schema and pipe: upper case, as SHOW PIPES shows them"
    return StageFailed(
        body.code.lower() or f"http_{reply.status}", message, remedy or "try again later"
    )


def pipe_remedy(code: str) -> str | None:
    """What helps against a code of the server; ``None``: nothing special is known."""
    return _PIPE_REMEDIES.get(code)


def new_id() -> str:
    """A fresh request id."""
    from uuid import uuid4

    return str(uuid4())


def _nobody(operation: Operation, code: str, seconds: float) -> None:
    """An ``Observe`` for a process without metrics."""
