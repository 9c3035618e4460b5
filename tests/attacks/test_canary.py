"""A provider key is in clear only in the request to its provider (OWASP ASVS 13.3, 14.2)."""

import asyncio
import base64
import traceback
from pathlib import Path

import httpx

from broker.core.secret import Secret
from tests.canary import CANARIES, KEY, forms_of, leaking_files, leaks_in
from tests.fake_provider import Asked, provider_in_a_thread, whole
from tests.serve.installation import ASK, Installation
from tests.serve.running import Running, serving


async def repeat_the_key(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The worst provider: it says the key back in every way it can."""
    key = asked.header("authorization").removeprefix("Bearer ")
    kind = asked.json().get("user", "") if asked.body else ""
    error = {"error": {"message": f"bad key {key}", "type": key, "param": key, "code": None}}
    if kind == "200":
        writer.write(whole({"id": key, "usage": None}, 200))
    else:
        writer.write(whole(error, int(kind or 401), f"x-request-id: {key}", f"x-ratelimit-reset-tokens: {key}"))
    await writer.drain()


def _call(server: Running, token: str, kind: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    url = f"{server.address}/proxy/openai/v1/chat/completions"
    return httpx.post(url, json=ASK | {"user": kind}, headers=headers, trust_env=False, timeout=60)


def test_a_key_is_found_nowhere(tmp_path: Path) -> None:
    with provider_in_a_thread(repeat_the_key) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})
        place.furnish()
        granted = place.grant()
        with serving(place.folder, **place.settings) as server:
            answers = [_call(server, granted.token, kind) for kind in ("200", "400", "401", "403", "429", "500", "502")]
            told = [place.broker("key", "list"), place.broker("grant", "show", granted.grant_id)]
            told += [
                Path(f"/proc/{pid}/{name}").read_text() for pid in server.workers() for name in ("cmdline", "environ")
            ]
            assert list(leaking_files(tmp_path)) == []
    assert KEY in {asked.header("authorization").removeprefix("Bearer ") for asked in provider.asked}
    for answer in answers:
        assert not leaks_in(answer.content)
        assert not leaks_in(repr(answer.headers.raw).encode())
    assert not any(leaks_in(text.encode()) for text in told)
    assert list(leaking_files(tmp_path)) == []


def test_a_secret_shows_itself_in_no_text() -> None:
    secret = Secret(KEY)
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>60}", repr([secret]), shown):
        assert not leaks_in(text.encode())


def test_the_search_finds_a_key_in_every_form() -> None:
    assert leaks_in(b"x" + KEY.encode() + b"y")
    assert leaks_in(base64.b64encode(b"ab" + KEY.encode() + b"cd"))
    assert leaks_in(KEY.encode().hex().encode())
    assert leaks_in(KEY.encode("utf-16"))
    assert not leaks_in(b"sk-proj-CANARY-" + b"0" * 30)


def test_the_search_finds_every_key_of_the_suite_in_every_form() -> None:
    for secret in CANARIES:
        for form in forms_of(secret):
            assert leaks_in(b"x" + form + b"y"), form
