"""The service without its socket: a request goes in, a response comes out.

Signs in, finds the endpoint, asks the model, dresses the answer. One thread at a time may call it.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.emulators.ingest.answers import Append, ChannelName, Refused
from tests.emulators.ingest.auth import Gate
from tests.emulators.ingest.clock import ServerClock
from tests.emulators.ingest.elastic import CHANNEL as ELASTIC
from tests.emulators.ingest.elastic import Elastic
from tests.emulators.ingest.limits import RateLimit
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.routes import Route, route
from tests.emulators.ingest.wire import (
    BODY_BYTES_MAX,
    Endpoint,
    Request,
    Response,
    decoded,
    error_response,
    json_object,
    json_response,
    status_json,
    text_response,
)

SESSION_HEADER: Final = "x-snowflake-session"
_ON_ACCOUNT: Final = frozenset({Endpoint.HOSTNAME, Endpoint.TELEMETRY})
"""Endpoints that take no scoped token."""


@dataclass(slots=True)
class Service:
    """An account and its ingest host in one.

    Attributes:
        hostname: what the hostname endpoint answers; ``None``: the name the request was sent to.
        sessions_missing: appends that did not send back the session header they had been given;
            the official SDK sends it, other clients do not, and nothing breaks.
    """

    model: IngestModel
    gate: Gate
    clock: ServerClock
    hostname: str | None = None
    limit: RateLimit = field(default_factory=RateLimit)
    sessions_missing: int = 0
    _sessions: dict[ChannelName, str] = field(default_factory=dict)

    def respond(self, request: Request, where: Route) -> Response:
        """Carry a request out; never raises."""
        try:
            self._check(request, where)
            return self._act(request, where)
        except Refused as refused:
            return error_response(refused, where.endpoint)

    def find(self, request: Request) -> Route | Response:
        """The endpoint of a request, or the answer that there is none."""
        try:
            return route(request)
        except Refused as refused:
            return text_response(refused.status, refused.message)

    def _check(self, request: Request, where: Route) -> None:
        if where.endpoint is Endpoint.TOKEN:
            return
        if "accept" not in request.headers and where.endpoint is not Endpoint.TELEMETRY:
            raise Refused(400, "391902", "Unsupported Accept header null is specified")
        host = None if where.endpoint in _ON_ACCOUNT else self._host(request)
        self.gate.check(request.headers, self.clock.shown_s(), host)

    def _act(self, request: Request, where: Route) -> Response:
        actions: dict[Endpoint, Callable[[Request, Route], Response]] = {
            Endpoint.HOSTNAME: self._hostname,
            Endpoint.TOKEN: self._token,
            Endpoint.TELEMETRY: self._telemetry,
            Endpoint.OPEN: self._open,
            Endpoint.APPEND: self._append,
            Endpoint.STATUS: self._status,
            Endpoint.DROP: self._drop,
            Endpoint.ELASTIC: self._elastic,
            Endpoint.PIPE_INFO: self._pipe_info,
        }
        return actions[where.endpoint](request, where)

    def _host(self, request: Request) -> str:
        """The ingest host: bare, no port. Real ones have no underscore; ``hostname`` may."""
        return self.hostname or _without_port(request.headers.get("host", "127.0.0.1"))

    def _hostname(self, request: Request, where: Route) -> Response:
        return text_response(200, self._host(request))

    def _token(self, request: Request, where: Route) -> Response:
        token = self.gate.exchange(request.headers, request.form(), self.clock.shown_s())
        return text_response(200, token)

    def _telemetry(self, request: Request, where: Route) -> Response:
        answer = {"success": True, "code": None, "message": None, "data": "Log Received"}
        return json_response(200, answer)

    def _open(self, request: Request, where: Route) -> Response:
        asked = json_object(request.body)
        token = asked.get("offset_token")
        opened = self.model.open(
            where.name,
            self.clock.now_s(),
            offset_token=None if token is None else str(token),
            fail_on_uncommitted_rows=asked.get("fail_on_uncommitted_rows") is True,
        )
        self._sessions.pop(where.name, None)
        status = status_json(opened.status)
        answer = {
            "next_continuation_token": opened.next_continuation_token,
            "channel_status": status,
        }
        return json_response(200, answer)

    def _append(self, request: Request, where: Route) -> Response:
        if len(request.body) > BODY_BYTES_MAX:
            return text_response(413, "Payload Too Large")
        body = decoded(request.body, request.headers.get("content-encoding", ""))
        if self.limit.exceeded(where.name, len(body), self.clock.now_s()):
            raise Refused(429, "390701", "Request rate exceeds max. Try later.")
        asked = request.parameters()
        single = asked.get("offsetToken")
        append = Append(
            name=where.name,
            continuation_token=asked.get("continuationToken"),
            body=body,
            start_token=asked.get("startOffsetToken", single),
            end_token=asked.get("endOffsetToken", single),
            request_id=asked.get("requestId", ""),
            wire=request.body,
        )
        answer = self.model.append(append, self.clock.now_s())
        response = json_response(
            200,
            {
                "status_code": 0,
                "message": None,
                "next_continuation_token": answer.next_continuation_token,
            },
        )
        session = (SESSION_HEADER, self._session(request, where.name))
        return Response(200, response.body, response.content_type, (session,))

    def _session(self, request: Request, name: ChannelName) -> str:
        """The sticky session of a channel; the form of its value was seen live (emqx 18056)."""
        if name not in self._sessions:
            number = len(self._sessions)
            address = f"10.4.{number // 256}.{number % 256}:10000"
            self._sessions[name] = base64.b64encode(address.encode()).decode()
        elif request.headers.get(SESSION_HEADER) != self._sessions[name]:
            self.sessions_missing += 1
        return self._sessions[name]

    def _status(self, request: Request, where: Route) -> Response:
        names = json_object(request.body).get("channel_names", [])
        if not isinstance(names, list):
            raise Refused(400, "ERR_INVALID_REQUEST_BODY", "channel_names is not a list")
        assert where.pipe is not None
        found = self.model.status(where.pipe, map(str, names), self.clock.now_s())
        statuses = {name: status_json(status) for name, status in found.items()}
        if ELASTIC in names:
            statuses[ELASTIC] = status_json(Elastic(self.model, where.pipe).status())
        return json_response(200, {"channel_statuses": statuses})

    def _drop(self, request: Request, where: Route) -> Response:
        flag = json_object(request.body).get("fail_on_uncommitted_rows") is True
        self.model.drop(where.name, self.clock.now_s(), fail_on_uncommitted_rows=flag)
        self._sessions.pop(where.name, None)
        return json_response(200, {})

    def _elastic(self, request: Request, where: Route) -> Response:
        if len(request.body) > BODY_BYTES_MAX:
            return text_response(413, "Payload Too Large")
        assert where.pipe is not None
        body = decoded(request.body, request.headers.get("content-encoding", ""))
        Elastic(self.model, where.pipe).insert(body, self.clock.now_s())
        return json_response(200, {"message": "OK", "next_continuation_token": ""})

    def _pipe_info(self, request: Request, where: Route) -> Response:
        return json_response(200, _pipe_info(self.clock.now_s()))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _pipe_info(now_s: float) -> dict[str, Any]:
    """What the official SDK asks for once a client: a stage that it uses for large files only."""
    stage = {
        "location": "emulator-bucket/stage/",
        "location_type": "S3",
        "use_s3_regional_url": False,
        "region": "us-west-2",
        "storage_account": None,
        "bucket_name": "emulator-bucket",
        "path_prefix": "stage/",
        "creds": {"AWS_KEY_ID": "none", "AWS_SECRET_KEY": "none", "AWS_TOKEN": "none"},
        "expiry_time_ms": int((now_s + 3600) * 1000),
    }
    return {
        "status_code": 0,
        "message": None,
        "rowset_stage_location": stage,
        "durable_stage_location": stage,
        "encryption_info": {
            "pipe_key": base64.b64encode(bytes(16)).decode(),
            "pipe_key_id": 1,
            "diversifier": base64.b64encode(bytes(16)).decode(),
        },
        "parameter_overrides": {},
    }
