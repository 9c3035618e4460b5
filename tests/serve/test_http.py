"""What hypercorn is told."""

import ssl
from pathlib import Path

import hypercorn.asyncio.run as accepting
import pytest
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol.h11 import H11Protocol

from broker.serve import http, http1
from broker.settings import Settings
from tests.serve.certificate import write_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Settings:
    cert, key = write_certificate(tmp_path)
    return Settings(tls_cert=cert, tls_key=key, issuer="https://broker.test")


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


@pytest.fixture
def hypercorns_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is before anything was said of how to speak."""
    monkeypatch.setattr(H11Protocol, "_check_protocol", H11Protocol._check_protocol)
    monkeypatch.setattr(accepting, "TCPServer", TCPServer)


@pytest.mark.usefixtures("hypercorns_own")
def test_the_setting_says_which_reader_reads() -> None:
    http.speak("httptools")
    assert vars(accepting)["TCPServer"] is http1.serve_connection
    http.speak("h11")
    assert vars(accepting)["TCPServer"] is TCPServer


@pytest.mark.usefixtures("hypercorns_own")
def test_where_connections_are_handed_over_in_another_way_hypercorn_reads_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http1, "SEAM", [*http1.SEAM, "more"])
    http.speak("httptools")
    assert vars(accepting)["TCPServer"] is TCPServer
    assert "another hypercorn" in capsys.readouterr().err


def test_nothing_is_logged_of_a_request() -> None:
    log = http.listen_config(Settings(), 0).log
    assert log.access_logger is None
    assert log.error_logger is None
