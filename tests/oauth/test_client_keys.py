"""The public keys of clients: registered, or read from where they are published."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.oauth.client_keys import MOST_BYTES, ClientKeys, fitting, read_keys
from broker.oauth.jws import BadKey, Unverified, parse_jws
from broker.oauth.paced_fetch import AskedTooOften
from broker.providers.fetch import Fetched, NotFetched
from broker.store.tables import Client
from tests.oauth.signing_client import KEY, OTHER, key_set
from tests.oauth.test_jws import ED, RSA, Private, sign
from tests.oauth.world import TurnedClock

ADDRESS = "https://notes.example/keys"


@dataclass
class Published:
    """What stands at an address, and how often it was asked for."""

    body: str
    status: int = 200
    content_type: str = "application/jwk-set+json"
    asked: list[str] = field(default_factory=list)
    most: int = 0

    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        self.asked.append(url)
        self.most = most
        await asyncio.sleep(0)
        if self.status == 0:
            raise NotFetched("no connection")
        return Fetched(self.status, {"content-type": self.content_type}, self.body.encode())


def signed_by(key: Private, **header: Any) -> Unverified:
    return parse_jws(sign(key, {"alg": "ES256", "kid": key.thumbprint()} | header), 2000)


def client(uri: str = ADDRESS) -> Client:
    return Client(id="cli_1", name="Notes", public=0, redirect_uris="[]", verified=1, created_at=0, jwks_uri=uri)


@pytest.fixture
def published() -> Published:
    return Published(key_set(KEY))


async def finds(keys: ClientKeys, key: Private, who: Client | None = None) -> bool:
    return bool(await keys.find(who or client(), signed_by(key)))


async def test_published_keys_are_remembered_for_five_minutes(published: Published) -> None:
    clock = TurnedClock()
    keys = ClientKeys(published, clock)
    assert await finds(keys, KEY)
    clock.turn(299)
    assert await finds(keys, KEY)
    assert (published.asked, published.most) == ([ADDRESS], MOST_BYTES)
    clock.turn(1)
    assert await finds(keys, KEY)
    assert len(published.asked) == 2


async def test_a_key_that_is_new_is_found_at_once_and_an_old_one_that_was_taken_back_is_not(
    published: Published,
) -> None:
    clock = TurnedClock()
    keys = ClientKeys(published, clock)
    assert await finds(keys, KEY)
    published.body = key_set(OTHER)
    clock.turn(60)
    assert await finds(keys, OTHER)
    assert not await finds(keys, KEY)


async def test_an_unknown_key_asks_again_once_a_minute_and_no_more(published: Published) -> None:
    """Anyone may send a signature that names a key nobody has."""
    clock = TurnedClock()
    keys = ClientKeys(published, clock)
    assert await finds(keys, KEY)
    for _ in range(121):
        assert not await finds(keys, OTHER)
        clock.turn(1)
    assert len(published.asked) == 3


async def test_many_at_once_ask_once(published: Published) -> None:
    keys = ClientKeys(published, TurnedClock())
    assert all(await asyncio.gather(*(finds(keys, KEY) for _ in range(20))))
    assert len(published.asked) == 1


@pytest.mark.parametrize("wrong", ["status", "no answer", "type", "no JSON", "a private key", "none"])
async def test_what_cannot_be_read_gives_no_key_and_is_tried_again_soon(published: Published, wrong: str) -> None:
    clock = TurnedClock()
    keys = ClientKeys(published, clock)
    spoilt: dict[str, dict[str, Any]] = {
        "status": {"status": 500},
        "no answer": {"status": 0},
        "type": {"content_type": "text/html"},
        "no JSON": {"body": "<html>"},
        "a private key": {"body": published.body.replace('"kty"', '"d":"AAAA","kty"')},
        "none": {"body": '{"keys":[]}'},
    }
    right = dict(vars(published))
    vars(published).update(spoilt[wrong])
    assert not await finds(keys, KEY)
    vars(published).update(right)
    clock.turn(9)
    assert not await finds(keys, KEY)
    assert len(published.asked) == 1
    clock.turn(1)
    assert await finds(keys, KEY)


async def test_stale_keys_are_not_believed_while_nothing_can_be_read(published: Published) -> None:
    clock = TurnedClock()
    keys = ClientKeys(published, clock)
    assert await finds(keys, KEY)
    published.status = 0
    clock.turn(300)
    assert not await finds(keys, KEY)


async def test_each_address_has_keys_of_its_own(published: Published) -> None:
    keys = ClientKeys(published, TurnedClock())
    assert await finds(keys, KEY)
    published.body = key_set(OTHER)
    assert not await finds(keys, KEY, client("https://other.example/keys"))


async def test_nothing_is_read_for_a_client_that_registered_its_keys(published: Published) -> None:
    registered = client("")
    registered.jwks = key_set(OTHER)
    keys = ClientKeys(published, TurnedClock())
    assert not await finds(keys, KEY, registered)
    assert await finds(keys, OTHER, registered)
    assert not await finds(keys, OTHER, client(""))
    assert published.asked == []


async def test_without_a_way_out_nothing_is_found() -> None:
    assert not await finds(ClientKeys(None, TurnedClock()), KEY)


def test_keys_for_other_purposes_stand_in_a_set_unnoticed() -> None:
    """RFC 7517 §5."""
    other = '{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},{"kty":"RSA","use":"enc","n":"AA","e":"AA"},{"kty":"new"},'
    raw = key_set(KEY, ED).replace('"keys":[', f'"keys":[{other}')
    assert [key.kid for key in read_keys(raw.encode())] == [KEY.thumbprint(), ED.thumbprint()]


def test_a_set_is_bounded_in_bytes_and_keys() -> None:
    with pytest.raises(BadKey, match="1 to 20"):
        read_keys(key_set(*[KEY] * 21).encode())
    with pytest.raises(BadKey, match="bytes"):
        read_keys(key_set(KEY).encode() + b" " * MOST_BYTES)


def test_a_signature_without_a_name_is_tried_with_few_keys_only() -> None:
    keys = read_keys(key_set(RSA, *[KEY] * 19).encode())
    assert len(fitting(keys, parse_jws(sign(KEY, {"alg": "ES256"}), 2000))) == 5


@pytest.mark.parametrize("source", ["registration", "document"])
async def test_strangers_keep_nobody_elses_keys_from_being_read(published: Published, source: str) -> None:
    async def exhausted(url: str, *, most: int, accept: str) -> Fetched:
        raise AskedTooOften("too many questions in this minute")

    keys = ClientKeys(published, TurnedClock(), exhausted)
    stranger = client()
    stranger.source = source
    assert not await finds(keys, KEY, stranger)
    assert await finds(keys, KEY)
    assert not await finds(keys, KEY, stranger)
