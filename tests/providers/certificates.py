"""Certificates made at the moment: an authority, and servers that it speaks for."""

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
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @staticmethod
    def make() -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("authority")
        builder = _builder(name, name, key, days=(-1, 1)).add_extension(x509.BasicConstraints(True, 0), critical=True)
        return Authority(key, builder.sign(key, hashes.SHA256()))

    def trusted(self) -> ssl.SSLContext:
        """What a client has that trusts this authority and nobody else."""
        context = ssl.create_default_context(cadata=_pem(self.certificate).decode())
        context.set_alpn_protocols(["http/1.1"])
        return context

    def server(
        self, folder: Path, *, address: str = "127.0.0.1", name: str = "", days: tuple[int, int] = (-1, 1)
    ) -> ssl.SSLContext:
        """What a server has that this authority speaks for by address or by name, from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        known: x509.GeneralName = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address(address))
        names = x509.SubjectAlternativeName([known])
        builder = _builder(_name("server"), self.certificate.subject, key, days=days)
        certificate = builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / "server.pem"
        path.write_bytes(private + _pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
    )
