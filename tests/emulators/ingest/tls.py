"""A certificate authority of our own and a server certificate under it, for loopback only.

Good enough for OpenSSL's strict checks (X509_STRICT: critical basicConstraints and keyUsage, key
identifiers on both), for rustls in the official SDK, and kept in the state directory so that a
restarted emulator is still trusted.
"""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES: Final = (
    "localhost",
    "*.localhost",
    "*.snowflake.localhost",
    "*.ingest.snowflake.localhost",
    "*.snowflakecomputing.localhost",
)
ADDRESSES: Final = ("127.0.0.1", "::1")
_LIFE: Final = timedelta(days=825)
_SLACK: Final = timedelta(days=30)


class Certificates(NamedTuple):
    """Where they are: the CA that clients trust, and the server's chain with its key."""

    ca_file: Path
    server_file: Path


def certificates(directory: Path, extra_name: str | None = None) -> Certificates:
    """Find or make them in a directory.

    Args:
        directory: must exist.
        extra_name: one more host name that the server answers to; ``None``: only the usual ones.
    """
    found = Certificates(directory / "ca.pem", directory / "server.pem")
    if not (found.ca_file.exists() and found.server_file.exists() and _fits(found, extra_name)):
        _make(found, extra_name)
    return found


def server_context(files: Certificates) -> ssl.SSLContext:
    """TLS 1.2 and newer, with our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.server_file)
    return context


def _fits(files: Certificates, extra_name: str | None) -> bool:
    certificate = x509.load_pem_x509_certificate(files.server_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = extra_name is None or extra_name in names.get_values_for_type(x509.DNSName)
    return known and certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)


def _make(files: Certificates, extra_name: str | None) -> None:
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = _common_name("Ingest emulator CA")
    ca = _sign(_authority(_builder(ca_name, ca_name, ca_key)), ca_key, ca_key)
    builder = _server(_builder(_common_name("Ingest emulator"), ca_name, server_key), extra_name)
    server = _sign(builder, server_key, ca_key)
    key = server_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = serialization.Encoding.PEM
    files.server_file.touch(mode=0o600)
    files.server_file.write_bytes(key + server.public_bytes(pem) + ca.public_bytes(pem))
    files.ca_file.write_bytes(ca.public_bytes(pem))


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + _LIFE - _SLACK)
    )


def _authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    ).add_extension(_key_usage(authority=True), critical=True)


def _server(builder: x509.CertificateBuilder, extra_name: str | None) -> x509.CertificateBuilder:
    names = (*NAMES, extra_name) if extra_name else NAMES
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ip_address(address)) for address in ADDRESSES]
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Add both key identifiers and sign."""
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        builder.add_extension(own, critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
