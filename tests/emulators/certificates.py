"""Certificates for servers on 127.0.0.1: an authority of the test's own, and what it signs."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority, kept in a directory.

    Attributes:
        directory: where its files are.
        ca_file: its certificate, for ``ca_file``.
        key: its private key.
        certificate: its certificate.
    """

    directory: Path
    ca_file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, directory: Path, name: str = "test authority") -> "Authority":
        """A new authority whose file lies in ``directory``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * _DAY).not_valid_after(now + 10 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        ca_file = directory / f"{name.replace(' ', '-')}.pem"
        ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(directory, ca_file, key, certificate)

    def server_context(
        self, names: tuple[str, ...] = ("127.0.0.1", "localhost"), valid_from_days: float = -1
    ) -> ssl.SSLContext:
        """A server's TLS context with a fresh certificate for these names and addresses.

        Args:
            names: host names and IP addresses.
            valid_from_days: beginning of its two days of validity, in days from now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        begin = dt.datetime.now(dt.UTC) + valid_from_days * _DAY
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.certificate.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(begin + 2 * _DAY)
            .add_extension(x509.SubjectAlternativeName([_name(n) for n in names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.directory / f"server-{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
