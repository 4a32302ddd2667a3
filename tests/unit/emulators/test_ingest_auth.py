"""Sign-in: which credentials are let in, and what the others are told."""

import hashlib
import time
from base64 import b64encode
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.ingest.answers import Refused
from tests.emulators.ingest.auth import Gate, Policy

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@cache
def private_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A key pair; another one for each number."""
    return rsa.generate_private_key(65537, 2048)


def public_pem(number: int = 0) -> bytes:
    """Its public half."""
    return (
        private_key(number)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def signed(number: int = 0, algorithm: str = "RS256", **changes: Any) -> str:
    """A key-pair JWT as documented, with changes to its claims; None removes one."""
    der = (
        private_key(number)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    fingerprint = b64encode(hashlib.sha256(der).digest()).decode()
    now = int(time.time())
    claims = {
        "iss": f"ORG-ACC.ME.SHA256:{fingerprint}",
        "sub": "ORG-ACC.ME",
        "iat": now,
        "exp": now + 3540,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    key: Any = private_key(number) if algorithm == "RS256" else "k" * 64
    return jwt.encode(claims, key, algorithm=algorithm)


def headers(credential: str, kind: str = "") -> dict[str, str]:
    """Headers with a Bearer and, unless empty, the token type."""
    named = {"x-snowflake-authorization-token-type": kind} if kind else {}
    return {"authorization": f"Bearer {credential}"} | named


def refusal(gate: Gate, given: dict[str, str], host: str | None = None) -> tuple[int, str]:
    """Status and code with which a credential is refused."""
    with pytest.raises(Refused) as caught:
        gate.check(given, time.time(), host)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("kind", ["KEYPAIR_JWT", ""])
def test_any_key_pair_is_let_in_with_seconds_or_milliseconds(kind: str) -> None:
    """The type header is optional (docs); the SDK sends milliseconds, others seconds."""
    gate = Gate()
    now = time.time()
    gate.check(headers(signed(), kind), now)
    gate.check(headers(signed(iat=int(now * 1000), exp=int(now * 1000) + 3_540_000), kind), now)
    assert gate.failures == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "ORG-ACC.ME"},
        {"iss": "ORG-ACC.ME.SHA256:ABCDEF"},
        {"iss": "ORG-ACC.ME.SHA256:" + "ab" * 32},
        {"sub": "ORG-ACC.YOU"},
        {"iat": None},
        {"exp": None},
        {"exp": 1000},
        {"iat": int(time.time()) - 3700, "exp": int(time.time()) + 86400},
    ],
)
def test_a_jwt_of_another_form_or_too_old_is_refused(changes: dict[str, Any]) -> None:
    """Upper-case hex fingerprints, wrong subject, no times, older than an hour (docs)."""
    gate = Gate()
    assert refusal(gate, headers(signed(**changes), "KEYPAIR_JWT")) == (401, "390144")
    assert len(gate.failures) == 1


def test_a_jwt_of_another_algorithm_or_rubbish_is_refused() -> None:
    """RS256 alone (docs)."""
    gate = Gate()
    for credential in (signed(algorithm="HS256"), "rubbish", "a.b.c"):
        assert refusal(gate, headers(credential, "KEYPAIR_JWT"))[0] == 401


def test_a_required_key_pair_is_checked_by_signature_and_fingerprint() -> None:
    """Negative control for the key: the other one is refused, by signature or fingerprint."""
    gate = Gate(Policy(public_key_pem=public_pem(0)))
    gate.check(headers(signed(0)), time.time())
    assert refusal(gate, headers(signed(1)))[0] == 401
    own = jwt.decode(signed(1), options={"verify_signature": False})["iss"]
    assert refusal(gate, headers(signed(0, iss=own)))[0] == 401


def test_a_jwt_from_the_future_is_refused_when_skew_matters() -> None:
    """More than 60 s off is error 394302, told to the client as 390144 (docs)."""
    future = headers(signed(iat=int(time.time()) + 300, exp=int(time.time()) + 3600))
    Gate().check(future, time.time())
    gate = Gate(Policy(max_skew_s=60.0))
    assert refusal(gate, future) == (401, "390144")
    assert next(iter(gate.failures.values())).startswith("394302")
    assert refusal(Gate(Policy(max_skew_s=60.0, tells_reason=True)), future) == (401, "394302")


def test_access_tokens() -> None:
    """Any PAT, or the required one; PAT_INVALID otherwise (docs)."""
    Gate().check(headers("some-token", "PROGRAMMATIC_ACCESS_TOKEN"), time.time())
    gate = Gate(Policy(access_token="right"))
    gate.check(headers("right"), time.time())
    assert refusal(gate, headers("wrong")) == (401, "PAT_INVALID")
    assert refusal(gate, {}) == (401, "390144")
    assert refusal(gate, {"authorization": "Basic x"}) == (401, "390144")


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"bearer": True}, {"grant_type": GRANT, "scope": "host.example"}),
        ({}, {"grant_type": GRANT, "scope": "host.example session:role:R", "assertion": "JWT"}),
        ({}, {"grant_type": GRANT, "assertion": "JWT"}),
        ({"bearer": True}, {"grant_type": EXCHANGE, "scope": "host.example"}),
    ],
)
def test_a_scoped_token_is_made_in_the_forms_that_clients_use(
    given: dict[str, bool], form: dict[str, str]
) -> None:
    """Bearer (docs, SDK), assertion with role (redpanda), without scope (supabase/etl)."""
    gate = Gate(Policy(token_lifetime_s=600))
    credential = signed()
    asked = {key: credential if value == "JWT" else value for key, value in form.items()}
    now = time.time()
    token = gate.exchange(headers(credential) if given else {}, asked, now)
    gate.check(headers(token, "OAUTH"), now, "host.example")
    gate.check(headers(token), now + 599, "host.example")
    assert refusal(gate, headers(token, "OAUTH")) == (401, "390144"), "not on the account host"
    with pytest.raises(Refused):
        gate.check(headers(token), now + 601, "host.example")


def test_a_scoped_token_is_for_its_host_and_its_gate() -> None:
    """Another scope, another server's token, and another grant are refused."""
    gate = Gate()
    form = {"grant_type": GRANT, "scope": "other.example"}
    token = gate.exchange(headers(signed()), form, time.time())
    assert refusal(gate, headers(token), "host.example")[0] == 401
    assert refusal(Gate(), headers(token), "other.example")[0] == 401
    with pytest.raises(Refused) as caught:
        gate.exchange(headers(signed()), {"grant_type": "password"}, time.time())
    assert caught.value.status == 400
    gate.check(headers(token), time.time(), "OTHER.example")
    gate.revoke()
    assert refusal(gate, headers(token), "other.example") == (401, "390114")


def test_underscores_of_a_host_are_hyphens_in_the_scope() -> None:
    """Known issue in the docs: the announced host may hold ``_``, the scope must hold ``-``."""
    gate = Gate()
    now = time.time()
    right, wrong = (
        gate.exchange(headers(signed()), {"grant_type": GRANT, "scope": scope}, now)
        for scope in ("my-acct.example", "my_acct.example")
    )
    gate.check(headers(right), now, "my_acct.example")
    assert refusal(gate, headers(wrong), "my_acct.example")[0] == 401
