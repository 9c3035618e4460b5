"""A provider that is broken, or wants something: it sends nobody anywhere, shows nothing of ours, and is paid what it is due."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.canary import leaks_in
from tests.fake_provider import (
    DONE,
    LAST_CHUNK,
    Asked,
    FakeProvider,
    answer_chat,
    chunk,
    completion,
    delta,
    event,
    fake_provider,
    head,
    usage,
    usage_event,
    whole,
)
from tests.proxy.world import ASK, Answered, World

STREAM = ASK | {"stream": True}
BODY = b'{"object":"chat.completion"}'
Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def raw(*pieces: bytes, hang_up: bool = False) -> Script:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hang_up:
            writer.close()

    return script


@pytest.fixture
async def canary() -> AsyncIterator[FakeProvider]:
    async with fake_provider(answer_chat) as listening:
        yield listening


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["whole", "stream"])
async def test_a_redirect_is_neither_followed_nor_passed_on(world: World, canary: FakeProvider, asked: object) -> None:
    token = await world.token()
    for count, status in enumerate((300, 301, 302, 303, 304, 305, 307, 308), 1):
        away = f"location: {canary.url}/v1/chat/completions"
        world.provider.script = raw(whole(completion(), status, away, "refresh: 0"), hang_up=True)
        answered = await world.call(token, asked)
        assert (answered.status, answered.code) == (502, "provider_error"), status
        assert not {"location", "refresh"} & answered.headers.keys()
        assert canary.url.encode() not in answered.body
        assert (canary.connections, len(world.provider.asked)) == (0, count)


DROPPED = (
    "set-cookie: broker=stolen", "set-cookie2: a=b", "access-control-allow-origin: *", "access-control-allow-credentials: true",
    "content-security-policy: default-src *", "strict-transport-security: max-age=0", "refresh: 0;url=http://evil.test",
    'clear-site-data: "*"', "service-worker-allowed: /", "link: </x>; rel=preload", 'alt-svc: h3=":443"',
    "openai-organization: org-1", "openai-project: proj_1", "anthropic-organization-id: 1", "x-goog-project-number: 1",
    "www-authenticate: Basic realm=x", "proxy-authenticate: Basic", "server: evil/1", "via: 1.1 evil", "x-powered-by: evil",
    "location: http://evil.test/", "content-disposition: attachment", "report-to: {}", "nel: {}", "x-frame-options: ALLOWALL",
    "sourcemap: /x", "x-sendfile: /etc/passwd", "x-accel-redirect: /etc/passwd", "trailer: x", "x-request-id: req_other",
)  # fmt: skip


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_no_header_crosses_that_speaks_to_a_browser_or_of_an_account(world: World, status: int) -> None:
    error = {"error": {"message": "no", "type": "x", "param": None, "code": None}}
    world.provider.script = raw(whole(completion() if status == 200 else error, status, *DROPPED))
    answered = await world.call(await world.token())
    ours = {"www-authenticate", "content-security-policy", "x-request-id"}
    names = {line.partition(":")[0] for line in DROPPED} - ours
    assert not names & answered.headers.keys()
    assert "evil" not in str(answered.headers)
    assert answered.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answered.headers["x-request-id"] != "req_other"
    assert (answered.headers["cache-control"], answered.headers["x-content-type-options"]) == ("no-store", "nosniff")


KINDS = (
    "text/html", "image/svg+xml", "application/xhtml+xml", "text/html; charset=utf-7", "text/javascript", "text/plain",
    "application/octet-stream", "multipart/x-mixed-replace; boundary=x", "application/json-seq", "application/jsonx", "",
)  # fmt: skip


async def test_an_answer_of_another_kind_is_not_shown(world: World) -> None:
    token = await world.token()
    for kind in KINDS:
        world.provider.script = raw(head(200, kind, len(BODY)) + BODY)
        answered = await world.call(token)
        assert (answered.status, answered.code) == (502, "provider_error"), kind
        assert answered.headers["content-type"] == "application/json"


async def test_no_compression_is_asked_for(world: World) -> None:
    await world.call(await world.token(), headers={"accept-encoding": "gzip, br, zstd"})
    assert world.provider.asked[0].header("accept-encoding") == "identity"


async def test_a_compressed_answer_is_not_unpacked(world: World) -> None:
    token, bomb = await world.token(), gzip.compress(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        for coding in ("gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip"):
            world.provider.script = raw(head(200, "application/json", len(bomb), f"content-encoding: {coding}") + bomb)
            answered = await world.call(token)
            assert (answered.status, answered.code) == (502, "provider_error"), coding
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10_000_000


async def test_whoever_leaves_an_endless_stream_ends_it_at_the_provider(world: World) -> None:
    closed = asyncio.Event()

    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream"))
        try:
            while True:
                writer.write(chunk(event(delta("x" * 60_000))))
                await writer.drain()
        finally:
            closed.set()

    world.provider.script = endless
    await world.call(await world.token(), STREAM, leave_after=1)
    await asyncio.wait_for(closed.wait(), 15)


SHORT = head(200, "application/json", 10) + whole(completion()).partition(b"\r\n\r\n")[2]
HIDDEN = head(200, "application/json", len(BODY)) + BODY + whole({"object": "the answer to somebody else"})


@pytest.mark.parametrize("first", [SHORT, HIDDEN], ids=["too short a length", "an answer nobody asked for"])
async def test_what_comes_too_much_is_not_the_next_calls_answer(world: World, first: bytes) -> None:
    token = await world.token()
    world.provider.script = raw(first)
    await world.call(token)
    world.provider.script = answer_chat
    answered = await world.call(token)
    assert (answered.status, answered.json()) == (200, completion())


GARBAGE: dict[str, Script] = {
    "nothing at all": raw(hang_up=True),
    "words": raw(b"hello\r\n\r\n", hang_up=True),
    "3000 headers": raw(head(200, "application/json", 2, *(f"x-{number}: y" for number in range(3000))) + b"{}"),
    "a header of 2 MB": raw(head(200, "application/json", 2, "x: " + "y" * 2_000_000) + b"{}"),
    "status 999": raw(whole(completion(), 999)),
    "status 99": raw(b"HTTP/1.1 99 X\r\ncontent-length: 2\r\n\r\n{}"),
    "switching protocols": raw(b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", hang_up=True),
    "no content": raw(b"HTTP/1.1 204 X\r\n\r\n"),
    "informational heads without end": raw(b"HTTP/1.1 103 Early\r\nlink: </x>\r\n\r\n" * 20_000),
    "HTTP/2": raw(b"HTTP/2 200\r\n\r\n{}", hang_up=True),
    "a cut chunk": raw(head(200, "application/json") + b"ff\r\n{", hang_up=True),
    "no number for a length": raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: x\r\n\r\n{}"),
    "two lengths": raw(head(200, "application/json", 2, "content-length: 3") + b"{} "),
}


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["whole", "stream"])
async def test_garbage_is_an_error_of_the_provider_and_takes_the_bound(world: World, asked: object) -> None:
    token = await world.token()
    for name, script in GARBAGE.items():
        world.provider.script = script
        answered = await world.call(token, asked)
        assert (answered.status, answered.code) == (502, "provider_error"), name
        said = answered.json()["error"]["message"]
        assert said == "The provider could not be reached, or did not give a whole answer."
    rows = await world.at_rest()
    assert len(rows) == len(GARBAGE)
    assert [row for row in rows if (row.mark, row.cost) != ("estimated", row.hold)] == []


async def test_an_error_is_asked_for_once_and_passes_without_the_key(world: World) -> None:
    async def repeat(asked: Asked, writer: asyncio.StreamWriter) -> None:
        key = asked.header("authorization").removeprefix("Bearer ")
        error = {"message": f"bad {key}", "type": key, "param": [key], "code": {key: key}}
        status = int(asked.json()["user"])
        writer.write(whole({"error": error}, status, f"retry-after: {3 if status == 429 else key}"))

    world.provider.script = repeat
    token = await world.token()
    for count, status in enumerate((400, 401, 403, 404, 409, 422, 429, 500, 503, 529), 1):
        answered = await world.call(token, ASK | {"user": str(status)})
        assert answered.status == (503 if status == 401 else status)
        assert not leaks_in(answered.body + str(answered.headers).encode()), status
        assert answered.headers.get("retry-after") == ("3" if status == 429 else None)
        assert len(world.provider.asked) == count
    assert {(row.mark, row.cost) for row in await world.at_rest()} == {("not_run", 0)}


USED = '{"prompt_tokens":%s,"completion_tokens":%s}'
FIGURES: dict[str, tuple[str, int | None]] = {
    # name: the usage as it is written, and what it costs; None is the bound
    "true": (USED % (10, 5), 5),
    "negative input": (USED % (-10, 5), None),
    "negative output": (USED % (10, -5), None),
    "both negative": (USED % (-10, -5), None),
    "NaN": (USED % ("NaN", 5), None),
    "Infinity": (USED % ("Infinity", 5), None),
    "1e308": (USED % ("1e308", 5), None),
    "1e1": (USED % ("1e1", 5), None),
    "4000 digits": (USED % ("9" * 4000, 5), None),
    "2 to the 31st": (USED % (2**31, 5), None),
    "2 to the 63rd": (USED % (2**63, 5), None),
    "text": (USED % ('"10"', '"5"'), None),
    "null": ("null", None),
    "nothing in it": ("{}", None),
    "input alone": ('{"prompt_tokens":10}', None),
    "true and false": (USED % ("true", "false"), None),
    "a list": ("[10, 5]", None),
    "nothing used": (USED % (0, 0), None),
    "more cached than read": ('{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":99}}', None),
    "less than nothing cached": (
        '{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-9}}', None,
    ),
}  # fmt: skip


def whole_saying(used: str) -> bytes:
    body = (
        b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[],"usage":'
        + used.encode()
        + b"}"
    )
    return head(200, "application/json", len(body)) + body


def stream_saying(used: str) -> bytes:
    said = b'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":' + used.encode() + b"}\n\n"
    return head(200, "text/event-stream") + chunk(event(delta("hi")) + said + DONE) + LAST_CHUNK


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_usage_pays_what_is_due_and_never_back_and_never_past_the_bound(world: World, streamed: bool) -> None:
    token = await world.token()
    for count, (name, (used, cost)) in enumerate(FIGURES.items()):
        world.provider.script = raw(stream_saying(used) if streamed else whole_saying(used))
        await world.call(token, STREAM if streamed else ASK)
        row = (await world.at_rest())[count]
        assert row.cost == (row.hold if cost is None else cost), name
        assert 0 < row.cost <= row.hold
    assert (await world.verified()).startswith(f"OK: {len(FIGURES)} calls")


async def test_a_usage_that_says_a_thing_twice_pays_something_and_not_past_the_bound(world: World) -> None:
    token = await world.token()
    for first, last in ((1, 10), (10, 1)):
        used = f'{{"prompt_tokens":{first},"prompt_tokens":{last},"completion_tokens":5}}'
        for script, asked in ((raw(whole_saying(used)), ASK), (raw(stream_saying(used)), STREAM)):
            world.provider.script = script
            await world.call(token, asked)
    assert all(0 < row.cost <= row.hold for row in await world.at_rest())


RISING = [event(usage_event(usage(10, count))) for count in (1, 3, 7)]
STOPPED = event(delta("hi") | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage(10, 9)})
STREAMS: dict[str, tuple[bytes, int | None]] = {
    # name: the events, and the output tokens that count; None takes the bound
    "rising": (b"".join(RISING) + DONE, 7),
    "two": (RISING[0] + RISING[2] + DONE, 7),
    "beside the last words": (STOPPED + DONE, 9),
    "only after the end": (event(delta("hi")) + DONE + RISING[2], None),
    "more after the end": (RISING[1] + DONE + RISING[2], 3),
    "in other events": (event(delta('{"usage":{"prompt_tokens":1,"completion_tokens":1}}')) + DONE, None),
    "in a comment": (b": " + RISING[2] + event(delta("x")) + DONE, None),
}


async def test_the_last_usage_before_the_end_of_a_stream_counts(world: World) -> None:
    token = await world.token()
    for count, (name, (events, tokens)) in enumerate(STREAMS.items()):
        world.provider.script = raw(head(200, "text/event-stream") + chunk(events) + LAST_CHUNK)
        await world.call(token, STREAM)
        row = (await world.at_rest())[count]
        assert (row.mark, row.output_tokens) == (("estimated", 0) if tokens is None else ("reported", tokens)), name
        assert 0 < row.cost <= row.hold


async def test_a_stream_of_another_kind_is_not_passed_on(world: World) -> None:
    page = b"<script>alert(1)</script>"
    world.provider.script = raw(head(200, "text/html") + chunk(page) + LAST_CHUNK)
    answered: Answered = await world.call(await world.token(), STREAM)
    assert answered.status == 502
    assert page not in answered.body
