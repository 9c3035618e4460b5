"""Bodies and answers that are not JSON, as an endpoint says that it reads and gives them."""

import asyncio

import pytest

from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.providers import openai
from broker.providers.dialect import Body, Meter, Reading, refuse_request
from broker.providers.form import Form, FormRule, rendered_form
from broker.providers.registry import Provider
from tests.canary import KEY
from tests.fake_provider import LAST_CHUNK, Asked, chunk, head, whole
from tests.proxy.test_form import END, file, text
from tests.proxy.world import World

SOUND = b"\x00\xffsound" * 4
PATH = "/proxy/openai/v1/parrot"
PARTS = {"content-type": "multipart/form-data; boundary=xyz"}
HEARD = text("model", "gpt-4o-mini") + file("file", "a b.mp3") + END


class Parrot:
    """Takes a file and gives sound."""

    form = FormRule(files={"file": 1})

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        raise refuse_request("It has no file.")

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        content_type, raw = rendered_form(form.body, form.files)
        return Reading(
            model=str(form.body["model"]), action="chat", extra_actions=frozenset(), streamed=False, wants_usage=False,
            own_output=0, choices=1, covers_reasoning=True, input_bound=1_000, unbounded="", render=lambda _: raw,
            target=path, content_type=content_type, gives=frozenset([b"audio/mpeg"]),
        )  # fmt: skip

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return Usage(10, 0), False

    def meter(self, *, wants_usage: bool) -> Meter:
        return openai.ChatMeter(wants_usage=wants_usage)


@pytest.fixture(autouse=True)
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openai._ENDPOINTS, "/v1/parrot", Parrot())


async def sing(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, "audio/mpeg") + chunk(SOUND[:5]))
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(chunk(SOUND[5:]) + LAST_CHUNK)
    await writer.drain()


async def test_a_form_is_sent_on_anew_and_its_sound_comes_back_byte_for_byte(world: World) -> None:
    world.provider.script = sing
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=PARTS)
    assert (answered.status, answered.headers["content-type"], answered.body) == (200, "audio/mpeg", SOUND)
    assert answered.ended
    assert answered.headers["x-content-type-options"] == "nosniff"
    (asked,) = world.provider.asked
    assert asked.header("content-type").startswith("multipart/form-data; boundary=")
    assert "xyz" not in asked.header("content-type")
    assert b'filename="a_b.mp3"' in asked.body
    (row,) = await world.at_rest()
    # Nothing said what was used: 1,000 tokens at $0.15 a million.
    assert (row.mark, row.outcome, row.cost, row.hold) == ("estimated", "ok", 150, 150)


OTHER_PARTS = {"content-type": "multipart/form-data; boundary=abc"}


@pytest.mark.parametrize(
    ("again", "status"),
    [
        (HEARD, 409),
        (file("file", "a b.mp3") + text("model", "gpt-4o-mini") + END, 409),
        (text("model", "gpt-4o-mini") + file("file", "a b.mp3", data=b"sounds") + END, 422),
        (text("model", "gpt-4o-mini") + text("n", "1") + file("file", "a b.mp3") + END, 422),
        (text("model", "gpt-4o-mini") + file("file", "b.mp3") + END, 422),
        (text("model", "gpt-4o-mini") + file("file", "a b.mp3", "audio/wav") + END, 422),
    ],
    ids=["the same", "in another order", "another file", "another text", "another name", "another kind"],
)
async def test_a_form_that_comes_again_is_known_by_its_parts_whatever_its_boundary(
    world: World, again: bytes, status: int
) -> None:
    world.provider.script = sing
    token = await world.token()
    key = {"idempotency-key": "one"}
    first = await world.call(token, HEARD, path=PATH, headers=PARTS | key)
    await world.at_rest()
    again = again.replace(b"--xyz", b"--abc")
    second = await world.call(token, again, path=PATH, headers=OTHER_PARTS | key)
    assert (first.status, second.status, len(world.provider.asked)) == (200, status, 1)


async def test_a_whole_answer_in_json_has_its_usage(world: World) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole({"text": "Hello."}))

    world.provider.script = script
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=PARTS)
    assert answered.json() == {"text": "Hello."}
    (row,) = await world.at_rest()
    assert (row.mark, row.cost) == ("reported", 2)


@pytest.mark.parametrize("kind", ["text/html", "audio/wav", "image/svg+xml", "application/octet-stream"])
async def test_a_media_type_that_was_not_expected_is_no_answer(world: World, kind: str) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, kind, 5) + b"<svg>")

    world.provider.script = script
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=PARTS)
    assert (answered.status, answered.code) == (502, "provider_error")
    (row,) = await world.at_rest()
    assert (row.mark, row.cost) == ("estimated", 150)


async def test_sound_that_breaks_off_does_not_end_cleanly(world: World) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "audio/mpeg") + chunk(SOUND[:5]))
        await writer.drain()
        writer.close()

    world.provider.script = script
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=PARTS)
    assert answered.body == SOUND[:5]
    assert not answered.ended
    (row,) = await world.at_rest()
    assert (row.mark, row.outcome, row.cost) == ("estimated", "broken", 150)


async def test_a_key_in_sound_does_not_pass(world: World) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "audio/mpeg") + chunk(b"x" + KEY[:9].encode()) + chunk(KEY[9:].encode()) + LAST_CHUNK)

    world.provider.script = script
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=PARTS)
    assert KEY.encode() not in answered.body
    (row,) = await world.at_rest()
    assert (row.outcome, row.cost) == ("garbage", 150)


async def test_parts_go_only_where_they_are_read(world: World) -> None:
    token = await world.token()
    answered = await world.call(token, HEARD, headers=PARTS)
    assert (answered.status, answered.code) == (415, "unsupported_media_type")
    answered = await world.call(token, path=PATH, headers={"content-type": "text/plain"})
    assert (answered.status, answered.code) == (415, "unsupported_media_type")
    answered = await world.call(token, HEARD + b"more", path=PATH, headers=PARTS)
    assert (answered.status, answered.code) == (400, "invalid_request")
    assert world.provider.asked == []


async def test_the_model_of_a_part_is_the_one_that_must_be_granted(world: World) -> None:
    raw = text("model", "gpt-4o") + file("file") + END
    answered = await world.call(await world.token(), raw, path=PATH, headers=PARTS)
    assert (answered.status, answered.code) == (403, "model_not_granted")
    assert world.provider.asked == []


async def test_parts_of_more_than_the_most_bytes_are_refused(world: World) -> None:
    headers = PARTS | {"content-length": str(2**26)}
    answered = await world.call(await world.token(), HEARD, path=PATH, headers=headers)
    assert (answered.status, answered.code) == (413, "too_large")
