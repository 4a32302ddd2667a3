"""Signs a key-pair token; runs in a short child process, ``python -m shipper.auth.sign``.

PyJWT and cryptography take some 20 MiB, for one signature in 54 minutes; in a child they are gone
again after it, and the private key never enters the memory of the service. Request and answer are
one JSON object each, on stdin and stdout; see ``answer``.

Claims are those of Snowflake's docs, "Using key-pair authentication": ``iss`` is
``ACCOUNT.USER.SHA256:fingerprint``, the fingerprint being the standard base64 of the SHA-256 of the
public key in DER (SubjectPublicKeyInfo).
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.errors import ConfigError, PermissionRefused, ThermalError

BITS_MIN: Final = 2048
_MAKE_KEY: Final = "make one with: thermal-shipper keygen FILE"
_NOT_A_KEY: Final = {
    b"-----BEGIN PUBLIC KEY-----": "is the public key; the private key is needed",
    b"-----BEGIN RSA PUBLIC KEY-----": "is the public key; the private key is needed",
    b"-----BEGIN CERTIFICATE-----": "is a certificate; the private key is needed",
    b"-----BEGIN OPENSSH PRIVATE KEY-----": "is an OpenSSH key, not a PKCS#8 PEM file",
}


def load_private_key(pem: bytes, passphrase: bytes | None, where: str) -> rsa.RSAPrivateKey:
    """Read an RSA private key out of a PEM text.

    Args:
        pem: the text.
        passphrase: ``None`` for a key that is not encrypted.
        where: the file, for messages.

    Raises:
        ConfigError: it is not PEM, not RSA, too short, or the passphrase does not fit.
    """
    for marker, problem in _NOT_A_KEY.items():
        if marker in pem:
            raise ConfigError(f"{where} {problem}", hint=_MAKE_KEY)
    if b"-----BEGIN " not in pem:
        raise ConfigError(f"{where} is not a PEM file: it has no -----BEGIN line", hint=_MAKE_KEY)
    encrypted = b"ENCRYPTED" in pem
    if encrypted and passphrase is None:
        raise ConfigError(
            f"{where} is encrypted and no passphrase is set",
            hint="set [snowflake] private_key_passphrase_file",
        )
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise ConfigError(
                f"the passphrase does not open {where}",
                hint="check the file of private_key_passphrase_file; a key that was cut short "
                "also reads so",
            ) from None
        raise ConfigError(f"{where} is a damaged PEM file", hint=_MAKE_KEY) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise ConfigError(f"{where} holds a key of type {kind}, expected RSA", hint=_MAKE_KEY)
    if key.key_size < BITS_MIN:
        raise ConfigError(
            f"{where} has {key.key_size} bits, expected at least {BITS_MIN}", hint=_MAKE_KEY
        )
    return key


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """``SHA256:`` and the base64 digest, as ``DESC USER`` shows it in RSA_PUBLIC_KEY_FP."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "SHA256:" + base64.standard_b64encode(hashlib.sha256(der).digest()).decode()


def signed_token(key: rsa.RSAPrivateKey, claim: dict[str, Any]) -> str:
    """The token.

    Args:
        key: the private key.
        claim: account, user, role (may be empty), issued_at and life_s (whole seconds).
    """
    subject = f"{claim['account'].upper()}.{claim['user'].upper()}"
    claims: dict[str, Any] = {
        "iss": f"{subject}.{fingerprint(key.public_key())}",
        "sub": subject,
        "iat": claim["issued_at"],
        "exp": claim["issued_at"] + claim["life_s"],
    }
    if claim["role"]:
        claims["scp"] = f"session:role:{claim['role']}"
    return jwt.encode(claims, key, algorithm="RS256")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what the service asked for.

    Args:
        request: ``key_file`` or ``key`` (PEM text), ``passphrase_file`` or ``passphrase`` or
            neither, and ``claim``, or ``None`` to describe the key only.

    Returns:
        ``token`` (``None`` without a claim), ``fingerprint``, ``public_key`` (base64 of the DER on
        one line, as ALTER USER takes it); or ``error``, ``hint`` and ``exit_code``.
    """
    try:
        where = request.get("key_file") or "private_key in the profile"
        pem = _content(request, "key")
        if pem is None:
            raise ConfigError("no private key is set")
        passphrase = _content(request, "passphrase")
        key = load_private_key(pem, passphrase.rstrip(b"\r\n") if passphrase else None, where)
        claim = request.get("claim")
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "token": None if claim is None else signed_token(key, claim),
            "fingerprint": fingerprint(key.public_key()),
            "public_key": base64.standard_b64encode(public).decode(),
        }
    except ThermalError as error:
        return {"error": str(error), "hint": error.hint, "exit_code": int(error.exit_code)}


def _content(request: dict[str, Any], name: str) -> bytes | None:
    """The bytes of ``name``, given as text or as the file of ``name_file``."""
    text, path = request.get(name), request.get(f"{name}_file")
    if text is not None:
        return str(text).encode()
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except PermissionError:
        raise PermissionRefused(f"{path} cannot be read by this user") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def main() -> None:
    """Answer the one request on stdin."""
    result = answer(json.load(sys.stdin.buffer))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
