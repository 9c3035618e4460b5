"""What a stranger's address may make this server do: one question to a public host, and nothing else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker.providers import names
from broker.providers.fetch import AT_ONCE, Fetched, GuardedFetch, NotFetched
from broker.providers.names import Unresolved
from tests.providers.certificates import Authority
from tests.providers.wire import Script, Wire, saying, serving

URL = "https://app.example/client.json"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
ACCEPT = "application/json"


@dataclass
class Names:
    """A name server that says what a test wants, and counts who asked."""

    addresses: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.addresses


def reachable(address: str) -> bool:
    return address.startswith("127.")


@asynccontextmanager
async def a_host(script: Script, folder: Path, **terms: object) -> AsyncIterator[tuple[Wire, GuardedFetch, Names]]:
    """A host called app.example on this computer, and a fetch that may reach it."""
    authority = Authority.make()
    resolve = Names()
    async with serving(script, authority.server(folder, name="app.example")) as wire:
        options = {"may_reach": reachable, "port": wire.port, "tls": authority.trusted()} | terms
        yield wire, GuardedFetch(resolve, **options), resolve  # type: ignore[arg-type]


async def asked(fetch: GuardedFetch, url: str = URL, most: int = 5_000) -> Fetched:
    return await fetch(url, most=most, accept=ACCEPT)


async def test_a_document_is_read_with_nothing_but_the_question(tmp_path: Path) -> None:
    async with a_host(saying(JSON), tmp_path) as (wire, fetch, resolve):
        fetched = await asked(fetch)
        assert (fetched.status, fetched.headers["content-type"], fetched.json()) == (200, "application/json", {})
        assert wire.asked == [
            b"GET /client.json HTTP/1.1\r\nhost: app.example\r\naccept-encoding: identity\r\nuser-agent: Broker\r\naccept: application/json\r\n\r\n"
        ]
        assert resolve.asked == ["app.example"]


async def test_the_name_is_asked_for_once_and_no_connection_is_kept(tmp_path: Path) -> None:
    """DNS rebinding: a second look-up could lead elsewhere than the one that was judged."""
    async with a_host(saying(JSON), tmp_path) as (wire, fetch, resolve):
        await asked(fetch)
        await asked(fetch)
        assert (len(resolve.asked), wire.opened) == (2, 2)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temporary", b"308 Permanent"])
async def test_a_redirect_is_not_followed_and_no_document(tmp_path: Path, status: bytes) -> None:
    redirect = b"HTTP/1.1 " + status + b"\r\nlocation: https://app.example/elsewhere\r\ncontent-length: 0\r\n\r\n"
    async with a_host(saying(redirect), tmp_path) as (wire, fetch, _):
        fetched = await asked(fetch)
        with pytest.raises(NotFetched, match="status 30"):
            fetched.json()
        assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"content-length: 104857600\r\n\r\n" + b"x" * 20_000,
        b"\r\n" + b"x" * 20_000,
        b"transfer-encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n" + b"1000\r\n" + b"x" * 4096,
    ],
    ids=["announced", "not announced", "in chunks"],
)
async def test_a_body_longer_than_wanted_is_not_read_to_its_end(tmp_path: Path, answer: bytes) -> None:
    async with a_host(saying(b"HTTP/1.1 200 OK\r\n" + answer), tmp_path) as (_, fetch, _names):
        with pytest.raises(NotFetched, match="TooLarge"):
            await asked(fetch)


async def test_a_host_that_drips_has_an_end(tmp_path: Path) -> None:
    async def drip(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with a_host(drip, tmp_path, seconds=0.3) as (_, fetch, _names):
        with pytest.raises(NotFetched, match="TimeoutError"):
            await asked(fetch)


async def test_a_name_server_that_is_silent_has_an_end() -> None:
    async def silent(_host: str) -> list[str]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(NotFetched, match="TimeoutError"):
        await asked(GuardedFetch(silent, seconds=0.05))


async def test_only_so_many_are_asked_at_once(tmp_path: Path) -> None:
    open_at_once: list[int] = []

    async def slow(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        open_at_once.append(wire.open)
        await asyncio.sleep(0.02)
        writer.write(JSON)
        await reader.read()

    async with a_host(slow, tmp_path) as (_, fetch, _names):
        await asyncio.gather(*(asked(fetch) for _ in range(20)))
        assert len(open_at_once) == 20
        assert max(open_at_once) <= AT_ONCE


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
    ],
    ids=str,
)
async def test_a_name_that_also_leads_inside_is_not_asked(tmp_path: Path, addresses: list[str]) -> None:
    async with a_host(saying(JSON), tmp_path) as (wire, _, resolve):
        resolve.addresses = addresses
        with pytest.raises(NotFetched, match="not public"):
            await asked(GuardedFetch(resolve, port=wire.port))
        assert wire.opened == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/c", "ftp://app.example/c", "file:///etc/passwd", "//app.example/c", "app.example",
        "https://app.example:22/c", "https://app.example:8443/c", "https://app.example:0/c", "https://app.example:/c",
        "https://user@app.example/c", "https://user:pass@app.example/c", "https://good.example#@evil.example/c",
        "https://good.example\\@evil.example/c", "https://app.example\\c", "https:///app.example/c",
        "https://127.0.0.1/c", "https://127.1/c", "https://2130706433/c", "https://0x7f000001/c", "https://0177.0.0.1/c",
        "https://0x7f.1/c", "https://[::1]/c", "https://[::ffff:127.0.0.1]/c", "https://8.8.8.8/c",
        "https://localhost/c", "https://localhost./c", "https://app.example./c", "https://intranet/c", "https://.example/c",
        "https://bücher.example/c", "https://app.example/ü", "https://app%2eexample/c", "https://app.example/c d",
        "https://app.example/c#frag", "https://app.exa\tmple/c", "https://app.example\r\n/c", "https://a_b.example/c",
        "https://-a.example/c", "https://" + "a" * 64 + ".example/c", "https://" + "a." * 130 + "example/c", "",
    ],
)  # fmt: skip
async def test_what_is_no_plain_address_of_a_named_host_is_not_even_looked_up(url: str) -> None:
    resolve = Names(["8.8.8.8"])
    with pytest.raises(NotFetched):
        await asked(GuardedFetch(resolve), url)
    assert resolve.asked == []


async def test_a_host_in_other_letters_is_asked_by_its_plain_name(tmp_path: Path) -> None:
    async with a_host(saying(JSON), tmp_path) as (wire, fetch, resolve):
        assert (await asked(fetch, "https://APP.example:443/client.json?v=1")).status == 200
        assert resolve.asked == ["app.example"]
        assert wire.asked[0].startswith(b"GET /client.json?v=1 HTTP/1.1\r\nhost: app.example\r\n")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async with a_host(saying(JSON), tmp_path) as (wire, fetch, _):
        with pytest.raises(NotFetched, match="SSLCertVerificationError"):
            await asked(fetch, "https://other.example/client.json")
        assert wire.asked == []


async def test_a_certificate_of_an_authority_unknown_here_is_refused(tmp_path: Path) -> None:
    async with a_host(saying(JSON), tmp_path, tls=None) as (wire, fetch, _):
        with pytest.raises(NotFetched, match="SSLCertVerificationError"):
            await asked(fetch)
        assert wire.asked == []


async def test_a_host_without_tls_is_not_spoken_to_in_the_clear() -> None:
    async def answers_anything(_: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(JSON)
        await reader.read()

    async with serving(answers_anything) as wire:
        with pytest.raises(NotFetched, match="SSLError"):
            await asked(GuardedFetch(Names(), may_reach=reachable, port=wire.port, tls=Authority.make().trusted()))


async def test_where_one_address_does_not_answer_the_next_is_tried(tmp_path: Path) -> None:
    async with a_host(saying(JSON), tmp_path) as (_, fetch, resolve):
        resolve.addresses = ["127.0.0.2", "127.0.0.1"]  # nobody listens at the first
        assert (await asked(fetch)).status == 200


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"content-type: text/html", "content type"),
        (b"x-type: application/json", "content type"),
        (b"content-type: application/jsonp", "content type"),
        (b"content-type: application/json\r\ncontent-encoding: gzip", "a coding"),
    ],
)
async def test_what_is_no_json_by_its_head_is_none(tmp_path: Path, head: bytes, why: str) -> None:
    async with a_host(saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\ncontent-length: 2\r\n\r\n{}"), tmp_path) as (
        _,
        fetch,
        _n,
    ):
        with pytest.raises(NotFetched, match=why):
            (await asked(fetch)).json()


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b"{", b"\xff{}", b'{"a":NaN}', b"[" * 900 + b"]" * 900])
def test_a_body_that_could_be_read_in_two_ways_is_none(body: bytes) -> None:
    with pytest.raises(NotFetched, match="not JSON"):
        Fetched(200, {"content-type": "application/cimd+json; charset=utf-8"}, body).json()


async def test_the_system_is_asked_for_names_in_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(_host: str) -> list[str]:
        gate.wait(10)
        return ["8.8.8.8"]

    monkeypatch.setattr(names, "_ask", slow)
    waiting = [asyncio.ensure_future(names.resolve("app.example")) for _ in range(names.MOST_AT_ONCE)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # who asked is gone; the thread is not
    with pytest.raises(Unresolved, match="too many"):
        await names.resolve("app.example")
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == [["8.8.8.8"]] * (names.MOST_AT_ONCE - 1)


async def test_a_name_without_an_address_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **_more: object) -> Awaitable[None]:
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", none)
    with pytest.raises(Unresolved, match="no address"):
        await names.resolve("app.example")
