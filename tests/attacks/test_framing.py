"""Requests that two readers could frame in two ways, and what hides behind them (RFC 9112 §6, §11.2)."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_provider import FakeProvider, answer_chat, provider_in_a_thread
from tests.serve.installation import ASK, Granted, Installation

BODY = json.dumps(ASK).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LAST = "Connection: close\r\n"
TARGET = "/proxy/openai/v1/chat/completions"


class Place:
    """A running server, a token for it, and the provider behind it."""

    def __init__(self, port: int, granted: Granted, provider: FakeProvider) -> None:
        self.head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {granted.token}\r\n"
        self.provider = provider
        self._port = port

    def request(self, framing: str, body: bytes, line: str = f"POST {TARGET} HTTP/1.1") -> bytes:
        return f"{line}\r\n{self.head}Content-Type: application/json\r\n{framing}\r\n".encode() + body

    def say(self, raw: bytes) -> bytes:
        """All that is answered on one connection until it is closed."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
            connection.sendall(raw)
            answered = b""
            while piece := connection.recv(65_536):
                answered += piece
        return answered


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("framing")
    with provider_in_a_thread(answer_chat) as provider:
        installation = Installation(folder, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})
        installation.furnish()
        granted = installation.grant()
        with installation.serving() as server:
            yield Place(int(server.address.rpartition(":")[2]), granted, provider)


def test_nothing_after_a_request_with_two_lengths_is_answered(place: Place) -> None:
    hidden = f"GET /proxy/status HTTP/1.1\r\n{place.head}\r\n".encode()
    before = len(place.provider.asked)
    answered = place.say(place.request("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + hidden))
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answered.lower()
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"grant_id" not in answered
    assert len(place.provider.asked) == before


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(BODY)}\r\nContent-Length: {len(BODY) + 1}\r\n", BODY),
        ("Content-Length: +5\r\n", BODY),
        ("Content-Length: 5, 6\r\n", BODY),
        ("Content-Length: -1\r\n", BODY),
        (f"Content-Length: {'9' * 30}\r\n", BODY),
        ("Transfer-Encoding: xchunked\r\n", CHUNKED),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKED),
        ("Transfer-Encoding : chunked\r\n", CHUNKED),
        ("Transfer-Encoding: chunked\r\n", b"0x" + CHUNKED),
        (f"Content-Length: {len(BODY)}\r\nX-Nothing: a\x00b\r\n", BODY),
        (f"Content-Length: {len(BODY)}\r\nHost: evil.test\r\n", BODY),
        (f"Content-Length: {len(BODY)}\r\nAuthorization: Bearer another\r\n", BODY),
        (f"Content-Length: {len(BODY)}\r\nx-api-key: another\r\n", BODY),
    ],
)
def test_a_head_with_two_readings_reaches_no_provider(place: Place, framing: str, body: bytes) -> None:
    before = len(place.provider.asked)
    answered = place.say(place.request(framing + LAST, body))
    assert answered.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert len(place.provider.asked) == before


def test_a_second_request_on_the_connection_is_judged_alone(place: Place) -> None:
    length = f"Content-Length: {len(BODY)}\r\n"
    bare = (
        f"POST {TARGET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{LAST}{length}\r\n".encode()
        + BODY
    )
    before = len(place.provider.asked)
    answered = place.say(place.request(length, BODY) + bare)
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert answered.count(b"HTTP/1.1 401 ") == 1
    assert len(place.provider.asked) == before + 1


@pytest.mark.parametrize(
    "trailer", ["authorization: Bearer {token}", "x-api-key: {token}", "host: evil.test", "cookie: a=b"]
)
def test_what_stands_behind_the_body_is_no_header(place: Place, trailer: str) -> None:
    token = place.head.split("Bearer ")[1].strip()
    bare = f"POST {TARGET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{LAST}"
    body = CHUNKED.removesuffix(b"\r\n") + f"{trailer.format(token=token)}\r\n\r\n".encode()
    before = len(place.provider.asked)
    answered = place.say(f"{bare}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
    assert answered.startswith(b"HTTP/1.1 401 ")
    assert len(place.provider.asked) == before


def test_a_trailer_changes_nothing_of_a_good_call(place: Place) -> None:
    body = CHUNKED.removesuffix(b"\r\n") + b"authorization: Bearer another\r\nhost: evil.test\r\n\r\n"
    answered = place.say(place.request(f"{LAST}Transfer-Encoding: chunked\r\n", body))
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert "evil" not in str(place.provider.asked[-1])


def test_no_answer_of_the_proxy_names_the_server_or_may_be_kept(place: Place) -> None:
    length = f"{LAST}Content-Length: {len(BODY)}\r\n"
    for target, status in ((TARGET, 200), ("/proxy/openai/v1/nowhere", 404), ("/proxy/nobody/v1/models", 404)):
        answered = place.say(place.request(length, BODY, f"POST {target} HTTP/1.1"))
        head = answered.partition(b"\r\n\r\n")[0].lower() + b"\r\n"
        assert head.startswith(b"http/1.1 %d " % status)
        assert b"\r\ncache-control: no-store\r\n" in head
        assert b"\r\nserver:" not in head


@pytest.mark.parametrize("path", [TARGET, "/grants", "/nowhere"])
def test_a_websocket_is_refused_before_anything_looks_at_it(place: Place, path: str) -> None:
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    )
    answered = place.say(place.request(upgrade, b"", f"GET {path} HTTP/1.1"))
    assert answered.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "line", ["CONNECT evil.test:80 HTTP/1.1", f"CONNECT {TARGET} HTTP/1.1", f"TRACE {TARGET} HTTP/1.1"]
)
def test_a_method_that_is_not_served_is_not_routed(place: Place, line: str) -> None:
    answered = place.say(place.request(LAST, b"", line))
    assert answered.startswith(b"HTTP/1.1 501 ")
    assert place.head.split("Bearer ")[1].strip().encode() not in answered


@pytest.mark.parametrize(
    "target",
    [
        f"http://evil.test{TARGET}",
        f"@evil.test{TARGET}",
        f"/{TARGET}",
        f"/%70roxy/{TARGET.removeprefix('/proxy/')}",
        f"{TARGET}/",
        f"{TARGET};x",
        f"{TARGET}%00",
        f"{TARGET}%3fx",
        "/proxy/openai/v1/chat%2fcompletions",
        "/proxy/openai/v1/chat\\completions",
        "/proxy/openai/v1/../v1/chat/completions",
        "/proxy/openai/v1/%2e%2e/v1/chat/completions",
        "/proxy/openai//evil.test/v1/chat/completions",
        "/proxy/openai/http://evil.test/v1",
        "/proxy/OpenAI/v1/chat/completions",
    ],
)
def test_a_path_that_a_normaliser_would_change_reaches_no_provider(place: Place, target: str) -> None:
    before = len(place.provider.asked)
    line = f"POST {target} HTTP/1.1"
    answered = place.say(place.request(f"{LAST}Content-Length: {len(BODY)}\r\n", BODY, line))
    assert answered.startswith(b"HTTP/1.1 404 ")
    assert len(place.provider.asked) == before
