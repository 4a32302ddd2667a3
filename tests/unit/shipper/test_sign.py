"""The signing child: claims, fingerprint, and one clear error for each bad key file."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from common.children import run_module
from common.errors import ExitCode
from shipper.auth.sign import answer
from tests.emulators.clock import START_REALTIME_NS

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIM: dict[str, Any] = {
    "account": "MyOrg-Acc1", "user": "shipper", "role": "Writer",
    "issued_at": START_REALTIME_NS // 10**9, "life_s": 3540,
}
PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


def pem(key: Any, passphrase: bytes | None = None, form: Any = PKCS8) -> bytes:
    """A private key as PEM."""
    hidden = (
        serialization.NoEncryption() if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    written: bytes = key.private_bytes(serialization.Encoding.PEM, form, hidden)
    return written


def ask(key: bytes, claim: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The child's answer for a PEM text."""
    return answer({"key": key.decode(), "claim": claim, **fields})


def test_the_token_is_what_snowflake_documents() -> None:
    """Golden check with cryptography and hashlib alone: header, claims, fingerprint, signature."""
    token = ask(pem(KEY), CLAIM)["token"]
    head, payload, signature = token.split(".")
    read = [json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in (head, payload)]
    der = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
    issued = CLAIM["issued_at"]
    assert read[0] == {"alg": "RS256", "typ": "JWT"}
    assert read[1] == {
        "iss": f"MYORG-ACC1.SHIPPER.{fingerprint}", "sub": "MYORG-ACC1.SHIPPER",
        "iat": issued, "exp": issued + 3540, "scp": "session:role:Writer",
    }
    KEY.public_key().verify(
        base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)),
        f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256(),
    )


def test_an_upper_case_hex_fingerprint_would_be_noticed() -> None:
    """Negative control: the form that never worked in an earlier system is not what we make."""
    found = ask(pem(KEY))["fingerprint"]
    digest = base64.b64decode(found.removeprefix("SHA256:"), validate=True)
    assert len(digest) == 32
    assert found != "SHA256:" + digest.hex().upper()


def test_without_a_role_there_is_no_role_claim() -> None:
    """The user's default role is the server's to choose."""
    token = ask(pem(KEY), {**CLAIM, "role": ""})["token"]
    assert "scp" not in jwt.decode(token, options={"verify_signature": False})


def test_without_a_claim_only_the_public_key_is_told() -> None:
    """What ``pubkey`` prints fits ALTER USER: base64 of the DER on one line."""
    found = ask(pem(KEY))
    public = serialization.load_der_public_key(base64.b64decode(found["public_key"]))
    assert found["token"] is None
    assert public == KEY.public_key()


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL], ids=["pkcs8", "pkcs1"])
def test_an_encrypted_key_opens_with_its_passphrase(tmp_path: Path, form: Any) -> None:
    """The passphrase file may end with a line end; it is not part of the passphrase."""
    key_file, phrase_file = tmp_path / "key.p8", tmp_path / "phrase"
    key_file.write_bytes(pem(KEY, b"open sesame", form))
    phrase_file.write_bytes(b"open sesame\r\n")
    found = answer({"key_file": str(key_file), "passphrase_file": str(phrase_file), "claim": CLAIM})
    assert found["fingerprint"] == ask(pem(KEY))["fingerprint"]


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (b"hello", {}, "not a PEM file"),
        (b"", {}, "not a PEM file"),
        (pem(KEY)[:400], {}, "damaged PEM"),
        (pem(KEY, b"right"), {}, "no passphrase is set"),
        (pem(KEY, b"right"), {"passphrase": "wrong"}, "passphrase does not open"),
        (pem(KEY, b"right", TRADITIONAL), {"passphrase": "wrong"}, "passphrase does not open"),
        (pem(ec.generate_private_key(ec.SECP256R1())), {}, "type EC, expected RSA"),
        (pem(ec.generate_private_key(ec.SECP256R1()), form=TRADITIONAL), {}, "expected RSA"),
        (pem(ed25519.Ed25519PrivateKey.generate()), {}, "expected RSA"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), {},
         "1024 bits, expected at least 2048"),
        (KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
         {}, "is the public key"),
        (b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n", {}, "is a certificate"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAA\n", {}, "OpenSSH key"),
    ],
)
def test_a_bad_key_file_is_one_clear_error(
    tmp_path: Path, content: bytes, fields: dict[str, str], message: str
) -> None:
    """The file is named, the remedy given, and neither key nor passphrase repeated."""
    path = tmp_path / "key.p8"
    path.write_bytes(content)
    found = answer({"key_file": str(path), "claim": CLAIM, **fields})
    assert message in found["error"]
    assert found["exit_code"] == ExitCode.CONFIG
    assert found["hint"]
    assert "wrong" not in found["error"] + found["hint"]
    assert "MII" not in found["error"]


def test_a_missing_key_file_is_named() -> None:
    """It may have been removed since the start."""
    found = answer({"key_file": "/nonexistent/key.p8", "claim": None})
    assert "/nonexistent/key.p8 cannot be read" in found["error"]


def test_the_child_process_signs(tmp_path: Path) -> None:
    """The whole way, as the service goes it: JSON in, JSON out, in a process of its own."""
    path = tmp_path / "key.p8"
    path.write_bytes(pem(KEY))
    request = json.dumps({"key_file": str(path), "claim": CLAIM}).encode()
    found = json.loads(run_module("shipper.auth.sign", request, 60.0))
    claims = jwt.decode(
        found["token"], KEY.public_key(), algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["sub"] == "MYORG-ACC1.SHIPPER"


def test_the_service_side_of_signing_imports_neither_jwt_nor_cryptography() -> None:
    """20 MiB stay out of the service; the planted import shows that the check would see them."""
    script = (
        "import sys, {extra}shipper.auth.signer, shipper.auth.credentials, shipper.auth.tokens\n"
        "print(sorted({{'jwt', 'cryptography', 'requests', 'sqlite_utils'}} & set(sys.modules)))"
    )
    seen = [
        subprocess.run(
            [sys.executable, "-c", script.format(extra=extra)], capture_output=True, text=True,
            check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        ).stdout.strip()
        for extra in ("", "jwt, ")
    ]
    assert seen[0] == "[]"
    assert "jwt" in seen[1]
