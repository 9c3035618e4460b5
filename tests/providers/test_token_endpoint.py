"""A provider's token endpoint is asked over the client's own connections, and told no more than it has to be."""

import json
from base64 import b64encode

import pytest

from broker.core.secret import Secret
from broker.providers.client import Waits
from broker.providers.token_endpoint import Endpoint, Granted, TokenRefused, TokenUnavailable, ask_token
from tests.providers.wire import client_of, ending_with, get, saying, serving, silent, until

GOOD = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 60, "token_type": "Bearer"}
GRANTED = Granted(Secret("access-1"), Secret("refresh-1"), 60)
FORM = {"grant_type": "refresh_token", "refresh_token": "a b+c"}


def saying_json(body: object, status: int = 200, *more: str) -> bytes:
    raw = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} So", f"content-length: {len(raw)}", "content-type: application/json", *more, "", ""]
    return "\r\n".join(lines).encode() + raw


async def test_a_client_with_a_secret_is_known_by_it(waits: Waits) -> None:
    async with serving(saying(saying_json(GOOD))) as wire, client_of(waits) as client:
        assert await ask_token(client, Endpoint(wire.url, "broker here", Secret("s:+")), FORM) == GRANTED
        head, _, body = wire.asked[0].partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert head.split(b"\r\n")[0] == b"POST /v1 HTTP/1.1"
        assert b"authorization: basic " + b64encode(b"broker+here:s%3A%2B").lower() in lines
        assert b"content-type: application/x-www-form-urlencoded" in lines
        assert (b"accept: application/json" in lines, b"accept-encoding: identity" in lines) == (True, True)
        assert body == b"grant_type=refresh_token&refresh_token=a+b%2Bc"


async def test_one_without_a_secret_names_itself(waits: Waits) -> None:
    async with serving(saying(saying_json(GOOD))) as wire, client_of(waits) as client:
        assert await ask_token(client, Endpoint(wire.url, "broker here", None), FORM) == GRANTED
        assert wire.asked[0].endswith(b"&client_id=broker+here")
        assert b"authorization" not in wire.asked[0].lower()


async def test_the_connection_is_shared_and_no_cookie_goes_from_one_account_to_the_next(waits: Waits) -> None:
    answer = saying_json(GOOD, 200, "set-cookie: who=ana; path=/")
    async with serving(saying(answer)) as wire, client_of(waits) as client:
        for _ in range(2):
            assert await ask_token(client, Endpoint(wire.url, "broker", Secret("s")), FORM) == GRANTED
        await get(client, wire.url)
        assert wire.opened == 1
        assert b"cookie" not in b"".join(wire.asked).lower()


async def test_what_was_asked_goes_nowhere_else(waits: Waits) -> None:
    async with serving(saying(saying_json(GOOD))) as elsewhere, client_of(waits) as client:
        moved = saying_json({}, 307, f"location: {elsewhere.url}")
        async with serving(saying(moved)) as wire:
            with pytest.raises(TokenUnavailable):
                await ask_token(client, Endpoint(wire.url, "broker", Secret("s")), FORM)
        assert elsewhere.asked == []


async def test_a_refusal_is_told_from_a_server_that_is_not_well(waits: Waits) -> None:
    said = {
        saying_json({"error": "invalid_grant"}, 400): TokenRefused,
        saying_json({"error": "invalid_client"}, 401): TokenUnavailable,
        saying_json({"error": "server_error"}, 500): TokenUnavailable,
        saying_json(GOOD | {"pad": "x" * 70_000}): TokenUnavailable,
        saying_json({}, 302, "location: http://xn--/"): TokenUnavailable,
        saying_json(GOOD, 200, "content-encoding: gzip")[:-1] + b"!": TokenUnavailable,
    }
    for answer, error in said.items():
        async with serving(saying(answer)) as wire, client_of(waits) as client:
            with pytest.raises(error) as raised:
                await ask_token(client, Endpoint(wire.url, "broker", Secret("s")), FORM)
            assert "access-1" not in str(raised.value)


async def test_silence_an_early_end_and_an_address_that_is_none_are_told_alike() -> None:
    async with serving(silent) as wire, client_of(Waits(9, 0.05, 9)) as client:
        for url in (wire.url, "http://a:b@127.0.0.1/", "http://[", "ftp://127.0.0.1/"):
            with pytest.raises(TokenUnavailable):
                await ask_token(client, Endpoint(url, "broker", Secret("s")), FORM)
        with pytest.raises(TokenUnavailable):
            await ask_token(client, Endpoint(wire.url, "broker", Secret("s")), FORM | {"code": "\ud800"})
        await until(lambda: wire.open == 0)
    async with serving(ending_with(b"")) as wire, client_of(Waits(9, 9, 9)) as client:
        with pytest.raises(TokenUnavailable):
            await ask_token(client, Endpoint(wire.url, "broker", Secret("s")), FORM)
