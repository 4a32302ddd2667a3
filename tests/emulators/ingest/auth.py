"""Who may come in: key-pair JWTs, programmatic access tokens, and the scoped tokens made here.

Any key pair and any access token is welcome unless ``Policy`` names the ones to require; the
*form* of a JWT is always checked, because a malformed one is refused by the real service.
"""

import base64
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization

from tests.emulators.ingest.answers import Refused

TYPE_HEADER: Final = "x-snowflake-authorization-token-type"
KEYPAIR: Final = "KEYPAIR_JWT"
PAT: Final = "PROGRAMMATIC_ACCESS_TOKEN"
OAUTH: Final = "OAUTH"
JWT_LIFE_S_MAX: Final = 3600.0
"""A key-pair JWT is good for an hour at most, whatever its ``exp`` says (docs)."""

GRANTS: Final = (
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)
INVALID: Final = "390144"
"""What a client is told of a bad JWT; the reason stays with the account's administrator (docs)."""

EXPIRED: Final = "390114"
INVALID_ISSUE_TIME: Final = "394302"
_MILLISECONDS_FROM: Final = 1e11


@dataclass(slots=True)
class Policy:
    """Who is let in; may be changed while the server runs.

    Attributes:
        public_key_pem: the only key pair to accept; ``None``: any.
        access_token: the only programmatic access token to accept; ``None``: any.
        token_lifetime_s: life of a scoped token (sources say 10 to 60 minutes).
        max_skew_s: a JWT issued further in the future is refused (documented: 60 s); ``None``: no
            matter.
        tells_reason: answer with the reason's code (394302 for a wrong time) instead of 390144.
    """

    public_key_pem: bytes | None = None
    access_token: str | None = None
    token_lifetime_s: float = 3540.0
    max_skew_s: float | None = None
    tells_reason: bool = False


@dataclass(slots=True)
class Gate:
    """Checks credentials and makes scoped tokens.

    Attributes:
        policy: whom to let in.
        failures: id in the client's message → reason, as SYSTEM$GET_LOGIN_FAILURE_DETAILS tells it.
    """

    policy: Policy = field(default_factory=Policy)
    failures: dict[str, str] = field(default_factory=dict)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _generation: int = 0

    def exchange(self, headers: Mapping[str, str], form: Mapping[str, str], now_s: float) -> str:
        """Make a scoped token for a client that shows a key-pair JWT or an access token.

        The credential may be the Bearer or the form's ``assertion``; ``scope`` may be missing.

        Raises:
            Refused: 400 for another grant, 401 for a bad credential.
        """
        if form.get("grant_type") not in GRANTS:
            raise Refused(400, "invalid_request", "grant_type is not supported")
        credential = form.get("assertion") or _bearer(headers)
        if form.get("subject_token_type") == "programmatic_access_token":
            self._check_access_token(credential)
        else:
            self._check_any(credential, headers.get(TYPE_HEADER, ""), now_s, scoped=False)
        claims = {
            "iss": "emulator",
            "scope": form.get("scope", ""),
            "iat": int(now_s),
            "exp": int(now_s + self.policy.token_lifetime_s),
            "generation": self._generation,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def check(self, headers: Mapping[str, str], now_s: float, host: str | None = None) -> None:
        """Let a request in, or not.

        Args:
            headers: of the request, names in lower case.
            now_s: of the clock that clients see.
            host: a scoped token must be for this host, whose underscores count as hyphens (docs);
                ``None``: for any.

        Raises:
            Refused: 401.
        """
        scope = self._check_any(
            _bearer(headers), headers.get(TYPE_HEADER, ""), now_s, scoped=host is not None
        )
        if host is None or not scope:
            return
        named, wanted = scope.split()[0].lower(), host.lower().replace("_", "-")
        if named != wanted:
            raise Refused(401, INVALID, f"Token is scoped for {named}, not for {wanted}")

    def revoke(self) -> None:
        """Make all scoped tokens given so far worthless."""
        self._generation += 1

    def _check_any(self, credential: str, kind: str, now_s: float, *, scoped: bool) -> str:
        """Check by the named or recognised kind; returns the scope of a scoped token, or ''."""
        match kind or _recognise(credential):
            case "KEYPAIR_JWT":
                self._check_key_pair(credential, now_s)
            case "PROGRAMMATIC_ACCESS_TOKEN":
                self._check_access_token(credential)
            case "OAUTH" if scoped:
                return self._check_scoped(credential, now_s)
            case other:
                raise Refused(401, INVALID, f"Token type {other} is not accepted here")
        return ""

    def _check_scoped(self, credential: str, now_s: float) -> str:
        try:
            claims = jwt.decode(
                credential,
                self._secret,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise Refused(401, INVALID, "Token is not one of ours") from None
        if claims["generation"] != self._generation or claims["exp"] <= now_s:
            raise Refused(401, EXPIRED, "Authentication token has expired")
        return str(claims["scope"])

    def _check_access_token(self, credential: str) -> None:
        wanted = self.policy.access_token
        bad = not credential or any(letter.isspace() for letter in credential)
        if bad or (wanted is not None and credential != wanted):
            raise Refused(401, "PAT_INVALID", "Programmatic access token is invalid")

    def _check_key_pair(self, credential: str, now_s: float) -> None:
        reason = self._fault_of(credential, now_s)
        if reason is None:
            return
        number = str(uuid.uuid4())
        self.failures[number] = reason
        code = reason.partition(" ")[0] if self.policy.tells_reason else INVALID
        raise Refused(401, code, f"JWT token is invalid. [{number}]")

    def _fault_of(self, credential: str, now_s: float) -> str | None:
        """Code and text of what is wrong with a key-pair JWT; ``None`` when it is good."""
        try:
            claims = self._decode(credential)
        except jwt.InvalidTokenError as error:
            return f"{INVALID} {error}"
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        owner, separator, fingerprint = issuer.rpartition(".SHA256:")
        if not separator or owner != subject or owner != owner.upper() or "." not in owner:
            return f"{INVALID} iss must be <ACCOUNT>.<USER>.SHA256:<fingerprint>, sub its beginning"
        if not self._fingerprint_fits(fingerprint):
            return f"{INVALID} fingerprint does not belong to the user's public key"
        issued_s, expires_s = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
        if issued_s is None or expires_s is None:
            return f"{INVALID_ISSUE_TIME} iat and exp must be numbers"
        skew_s = self.policy.max_skew_s
        if skew_s is not None and issued_s > now_s + skew_s:
            return f"{INVALID_ISSUE_TIME} issued {issued_s - now_s:.0f} s in the future"
        if now_s >= min(expires_s, issued_s + JWT_LIFE_S_MAX):
            return f"{INVALID_ISSUE_TIME} expired"
        return None

    def _decode(self, credential: str) -> dict[str, Any]:
        if jwt.get_unverified_header(credential).get("alg") != "RS256":
            raise jwt.InvalidAlgorithmError("algorithm must be RS256")
        key = self.policy.public_key_pem
        options: dict[str, Any] = {"verify_signature": key is not None, "verify_aud": False}
        options |= {"verify_exp": False, "verify_iat": False}
        decoded: dict[str, Any] = jwt.decode(
            credential,
            (key or b"").decode(),
            algorithms=["RS256"],
            options=options,  # type: ignore[arg-type]
        )
        return decoded

    def _fingerprint_fits(self, fingerprint: str) -> bool:
        try:
            digest = base64.b64decode(fingerprint, validate=True)
        except ValueError:
            return False
        if self.policy.public_key_pem is None:
            return len(digest) == hashlib.sha256().digest_size
        key = serialization.load_pem_public_key(self.policy.public_key_pem)
        der = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return digest == hashlib.sha256(der).digest()


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Refused(401, INVALID, "Authorization header is missing or no Bearer")
    return credential.strip()


def _recognise(credential: str) -> str:
    """The kind of a credential whose type header is missing (the service detects it, docs)."""
    try:
        algorithm = jwt.get_unverified_header(credential).get("alg")
    except jwt.InvalidTokenError:
        return PAT
    return {"RS256": KEYPAIR, "HS256": OAUTH}.get(str(algorithm), PAT)


def _seconds(value: object) -> float | None:
    """A claim in seconds or milliseconds since 1970, in seconds (both are accepted, docs)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1000 if value > _MILLISECONDS_FROM else float(value)
