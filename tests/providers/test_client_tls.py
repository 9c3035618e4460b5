"""A provider is who its certificate proves it to be, or nothing is sent to it."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from broker.providers.client import NotReached, Progress, Waits
from broker.providers.pooled import PooledClient
from tests.providers.certificates import Authority
from tests.providers.wire import OK, Wire, client_of, connected, get, saying, serving, silent, until

LONG = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


async def test_a_provider_that_proves_its_name_is_asked_and_asked_again(
    authority: Authority, tmp_path: Path, waits: Waits
) -> None:
    tls, trusts = authority.server(tmp_path), authority.trusted()
    async with serving(saying(OK), tls) as wire, client_of(waits, trusts=trusts) as client:
        assert [await get(client, wire.url) for _ in range(3)] == [b"hi"] * 3
        assert (wire.opened, len(wire.asked), connected(client)) == (1, 3, 1)


async def test_much_passes_in_both_directions(authority: Authority, tmp_path: Path, waits: Waits) -> None:
    tls, trusts = authority.server(tmp_path), authority.trusted()
    async with serving(saying(LONG), tls) as wire, client_of(waits, trusts=trusts) as client:
        for _ in range(2):
            answer = await client.send("POST", wire.url, [], bytes(3_000_000))
            await asyncio.sleep(0.05)  # long enough to be held up
            assert await answer.whole(1 << 30) == b"x" * 3_000_000
        assert (wire.opened, len(wire.asked[1])) == (1, len(wire.asked[0]))


async def test_http_1_is_what_is_offered(authority: Authority, tmp_path: Path, waits: Waits) -> None:
    tls = authority.server(tmp_path)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(saying(OK), tls) as wire, client_of(waits, trusts=authority.trusted()) as client:
        assert await get(client, wire.url) == b"hi"
        [pool] = client._pools.values()
        [connection] = pool._open
        assert connection._transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def _answers_anything(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while read := await reader.read(65_536):
        wire.asked.append(read)
        writer.write(OK)


async def _refused(server: ssl.SSLContext | None, trusts: ssl.SSLContext | None, waits: Waits) -> None:
    progress = Progress()
    async with serving(_answers_anything, server) as wire, client_of(waits, trusts=trusts) as client:
        with pytest.raises(NotReached):
            await client.send("POST", f"https://127.0.0.1:{wire.port}/", [(b"x-key", b"secret")], b"x", progress)
        assert not progress.wrote
        assert b"secret" not in b"".join(wire.asked)
        assert connected(client) == 0


async def test_a_certificate_for_another_name_is_refused(authority: Authority, tmp_path: Path, waits: Waits) -> None:
    await _refused(authority.server(tmp_path, address="127.0.0.2"), authority.trusted(), waits)


async def test_a_certificate_that_is_over_is_refused(authority: Authority, tmp_path: Path, waits: Waits) -> None:
    await _refused(authority.server(tmp_path, days=(-3, -1)), authority.trusted(), waits)


async def test_a_certificate_of_an_authority_unknown_here_is_refused(tmp_path: Path, waits: Waits) -> None:
    await _refused(Authority.make().server(tmp_path), None, waits)


async def test_another_authority_of_the_same_name_is_refused(
    authority: Authority, tmp_path: Path, waits: Waits
) -> None:
    await _refused(Authority.make().server(tmp_path), authority.trusted(), waits)


async def test_a_provider_without_tls_is_not_spoken_to_in_the_clear(authority: Authority, waits: Waits) -> None:
    await _refused(None, authority.trusted(), waits)


def test_names_are_checked_and_certificates_demanded_by_default() -> None:
    async def context() -> ssl.SSLContext | None:
        client = PooledClient(Waits(1, 1, 1))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with pytest.raises(NotReached):
            await client.send("GET", f"https://127.0.0.1:{port}/", [])
        return client._tls

    made = asyncio.run(context())
    assert made is not None
    assert (made.check_hostname, made.verify_mode) == (True, ssl.CERT_REQUIRED)


async def test_a_handshake_that_does_not_go_on_has_an_end(authority: Authority) -> None:
    async with serving(silent) as wire, client_of(Waits(0.1, 9, 9), trusts=authority.trusted()) as client:
        with pytest.raises(NotReached):
            await client.send("GET", f"https://127.0.0.1:{wire.port}/", [])
        await until(lambda: wire.open == 0 and connected(client) == 0)
