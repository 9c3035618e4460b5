"""Signing keys come and go while tokens live: no rotation cuts one short, and nothing retired is believed."""

import asyncio
import json
from base64 import urlsafe_b64decode
from functools import partial

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import from_seconds, to_seconds
from broker.core.errors import InvalidToken
from broker.oauth.issue import issue_access_token
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.oauth.signing_keys import CACHED_SECONDS, PUBLISHED_BEFORE, SKEW, load_keys, make_missing_keys, rotate
from broker.settings import Settings
from broker.store import changes, signing_keys
from broker.store.tables import SigningKey
from tests.oauth.world import World


async def turned(world: World, *, at_once: bool = False) -> SigningKey:
    """Rotates, and has the signer read its keys as after each change."""
    now = world.clock()
    added = await world.db.write(lambda tx: rotate(tx, world.vault, now, world.settings, at_once=at_once))
    await read_anew(world, world.signer)
    return added


async def read_anew(world: World, signer: Signer) -> None:
    signer.use(await world.db.read(lambda tx: load_keys(tx, world.vault, world.clock())))


async def another_process(world: World, settings: Settings | None = None) -> Signer:
    open_signer = partial(load_or_make_signing_keys, settings=settings or world.settings)
    return await world.db.write(lambda tx: open_signer(tx, world.vault, world.clock()))


async def token(world: World, *, seconds: int | None = None, days: int = 30) -> str:
    client = await world.register()

    async def work(tx: AsyncSession) -> str:
        grant = await world.grant(tx, client.id, days=days)
        issued = await issue_access_token(tx, world.signer, world.settings, grant, now=world.clock(), lifetime=seconds)
        return issued.token.reveal()

    return await world.db.write(work)


def header_of(token: str) -> dict[str, str]:
    segment = token.partition(".")[0]
    header: dict[str, str] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return header


def kids(signer: Signer, now: int) -> list[str]:
    keys = signer.jwks(now)["keys"]
    assert isinstance(keys, list)
    return [key["kid"] for key in keys]


def believed(world: World, token: str) -> bool:
    try:
        world.signer.verify_access_token(token, world.clock())
    except InvalidToken:
        return False
    return True


async def test_the_next_key_is_published_for_as_long_as_caches_last_before_it_signs(world: World) -> None:
    first = header_of(await token(world))["kid"]
    added = await turned(world)
    assert added.kid in kids(world.signer, world.clock())
    assert header_of(await token(world))["kid"] == first
    world.clock.turn(CACHED_SECONDS)
    assert header_of(await token(world))["kid"] == first
    world.clock.turn(31)
    assert header_of(await token(world))["kid"] == added.kid


async def test_what_the_key_before_signed_is_believed_for_its_whole_life(world: World) -> None:
    await token(world)
    await turned(world)
    world.clock.now += PUBLISHED_BEFORE - 1
    old = await token(world)
    world.clock.turn(world.settings.access_token_seconds - 1)
    assert believed(world, old)
    world.clock.turn(1)
    assert not believed(world, old)


async def test_a_retired_key_is_believed_no_more_and_leaves_the_key_set(world: World) -> None:
    old = await token(world)
    kid = header_of(old)["kid"]
    await turned(world)
    world.clock.now += PUBLISHED_BEFORE + from_seconds(world.settings.access_token_seconds) + SKEW - 1
    assert kid in kids(world.signer, world.clock())
    world.clock.turn(0.000_001)
    assert kid not in kids(world.signer, world.clock())
    forged = sign_with_the_first(world, world.clock() + from_seconds(600))
    assert not believed(world, forged)


def sign_with_the_first(world: World, ends_at: int) -> str:
    """What a thief of the retired key would make."""
    (first, *_), now = world.signer._keys.tokens, to_seconds(world.clock())
    claims: dict[str, object] = {"iss": world.signer.issuer, "aud": world.signer.resource, "sub": "s", "jti": "tok_1"}
    claims |= {"client_id": "cli_1", "grant_id": "grt_1", "iat": now, "exp": to_seconds(ends_at)}
    return first.sign("at+jwt", claims)


async def test_a_token_that_was_verified_before_is_forgotten_when_its_key_retires(world: World) -> None:
    await turned(world)
    lasts_longer = sign_with_the_first(world, world.clock() + from_seconds(50_000))
    assert believed(world, lasts_longer)
    world.clock.turn(5_000)
    assert not believed(world, lasts_longer)


async def test_a_key_outlasts_the_tokens_that_live_with_their_grants(world: World) -> None:
    long = await token(world, seconds=10**10)
    await turned(world)
    world.clock.turn(29 * 86_400)
    await read_anew(world, world.signer)
    assert believed(world, long)


async def test_a_long_token_made_during_a_rotation_is_signed_by_the_key_that_outlasts_it(world: World) -> None:
    added = await turned(world)
    long = await token(world, seconds=10**10)
    assert header_of(long)["kid"] == added.kid
    world.clock.turn(29 * 86_400)
    assert believed(world, long)


async def test_a_key_that_leaked_is_dropped_at_once(world: World) -> None:
    old = await token(world)
    assert believed(world, old)
    added = await turned(world, at_once=True)
    assert not believed(world, old)
    assert header_of(old)["kid"] not in kids(world.signer, world.clock())
    new = await token(world)
    assert header_of(new)["kid"] == added.kid
    assert believed(world, new)


async def test_another_process_believes_a_new_token_once_it_has_read_the_change(world: World) -> None:
    other = await another_process(world)
    before = await world.db.read(changes.count)
    await turned(world)
    assert await world.db.read(changes.count) > before
    world.clock.now += PUBLISHED_BEFORE
    new = await token(world)
    with pytest.raises(InvalidToken):
        other.verify_access_token(new, world.clock())
    await read_anew(world, other)
    assert other.verify_access_token(new, world.clock())


async def test_rotations_one_after_another_refuse_no_token_in_two_processes(world: World) -> None:
    other = await another_process(world)
    live: list[tuple[str, int]] = []
    for step in range(40):
        live.append((await token(world, days=400), world.clock() + from_seconds(world.settings.access_token_seconds)))
        if step % 7 == 3:
            await turned(world)
            await read_anew(world, other)
        for old, ends_at in live:
            if ends_at > world.clock():
                assert believed(world, old)
                assert other.verify_access_token(old, world.clock())
        world.clock.turn(170)
    assert len({header_of(old)["kid"] for old, _ in live}) > 3


async def test_several_rotations_at_once_leave_a_ring_that_signs(world: World) -> None:
    old = await token(world)
    await asyncio.gather(*(turned(world) for _ in range(4)))
    await read_anew(world, world.signer)
    assert believed(world, old)
    world.clock.now += PUBLISHED_BEFORE
    assert believed(world, old)
    assert believed(world, await token(world))


async def test_the_private_part_of_a_retired_key_is_erased_by_the_next_rotation(world: World) -> None:
    await turned(world, at_once=True)
    await turned(world)
    rows = await world.db.read(signing_keys.every)
    retired = [row for row in rows if row.retired_at is not None and row.retired_at <= world.clock()]
    assert [row.sealed for row in retired] == [""]
    assert all(row.sealed for row in rows if row not in retired)


async def test_another_algorithm_is_changed_to_with_an_overlap(world: World) -> None:
    edwards = world.settings.model_copy(update={"signing_algorithm": "EdDSA"})
    old = await token(world)
    signer = await another_process(world, edwards)
    again = await another_process(world, edwards)
    assert kids(signer, world.clock()) == kids(again, world.clock())
    world.signer.use(signer._keys)
    assert header_of(await token(world))["alg"] == "ES256"
    world.clock.now += PUBLISHED_BEFORE
    new = await token(world)
    assert header_of(new)["alg"] == "EdDSA"
    assert believed(world, old)
    assert believed(world, new)
    assert not believed(world, new[:-8] + "AAAAAAAA")


async def test_a_key_of_receipts_signs_no_token_and_outlasts_every_rotation(world: World) -> None:
    (receipts,) = world.signer._keys.receipts
    await turned(world, at_once=True)
    world.clock.turn(10**9)
    await world.db.write(lambda tx: make_missing_keys(tx, world.vault, world.clock(), world.settings))
    await read_anew(world, world.signer)
    assert receipts.kid in kids(world.signer, world.clock())
    now = to_seconds(world.clock())
    claims: dict[str, object] = {"iss": world.signer.issuer, "aud": world.signer.resource, "sub": "s", "jti": "tok_1"}
    claims |= {"client_id": "cli_1", "grant_id": "grt_1", "iat": now, "exp": now + 60}
    assert not believed(world, receipts.sign("at+jwt", claims))
    assert not believed(world, world.signer.sign_receipt(claims))


async def test_a_rotation_stands_in_the_audit_trail(world: World) -> None:
    await turned(world)
    assert "signing.rotated" in await world.audited()
