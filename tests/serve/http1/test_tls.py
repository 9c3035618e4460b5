"""The same over TLS."""

import ssl
from pathlib import Path

from starlette.types import Receive, Scope, Send

from broker.settings import Settings
from tests.serve.certificate import write_certificate
from tests.serve.http1.served import GET, HOST, read_all, reply, served


async def _tell(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_all(receive)
    await reply(send, b"%s %d" % (scope["scheme"].encode(), len(body)))


async def test_requests_refusals_and_the_end_over_tls(tmp_path: Path, parser: str) -> None:
    cert, key = write_certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=str(cert))
    trusted.check_hostname = False
    settings = Settings(tls_cert=cert, tls_key=key, issuer="https://broker.test")
    post = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000
    async with served(_tell, parser, tls=trusted, settings=settings) as server:
        line = await server.connect()
        for _ in range(2):
            assert (await line.ask(GET)).body == b"https 0"
            assert (await line.ask(post)).body == b"https 300000"
        await line.say(GET + GET)
        assert [(await line.hear()).body for _ in range(2)] == [b"https 0"] * 2
        refused = await server.connect()
        assert (await refused.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 400
        server.stop.set()
        assert await line.rest() == b""
