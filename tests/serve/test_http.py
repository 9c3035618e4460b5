"""What hypercorn is told."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypercorn.protocol.h11 import H11Protocol

from broker.core.errors import CannotStart
from broker.serve import http
from broker.settings import Settings

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker.test")])


@pytest.fixture
def certificate(tmp_path: Path) -> Settings:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Settings(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem", issuer="https://broker.test")


def test_over_tls_only_http1_is_offered(certificate: Settings) -> None:
    server_context = http.listen_config(certificate, 0).create_ssl_context()
    assert server_context is not None
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    client_context.set_alpn_protocols(["h2", "http/1.1"])
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="broker.test")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.selected_alpn_protocol() == server.selected_alpn_protocol() == "http/1.1"
    assert client.version() in ("TLSv1.2", "TLSv1.3")


def test_another_release_of_hypercorn_must_be_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(H11Protocol, "_check_protocol", H11Protocol._check_protocol)
    monkeypatch.setattr(http, "version", lambda name: "0.99.0")
    with pytest.raises(CannotStart):
        http.speak_http1_only()
    monkeypatch.setattr(http, "version", lambda name: "0.18.7")
    http.speak_http1_only()


def test_nothing_is_logged_of_a_request() -> None:
    log = http.listen_config(Settings(), 0).log
    assert log.access_logger is None
    assert log.error_logger is None
