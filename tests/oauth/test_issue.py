"""Access tokens as they are issued, at consent or by the operator's own decision."""

import json

import pytest
from joserfc import jws
from joserfc.jwk import KeySet
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import OAuthError
from broker.core.grant import GrantEvent
from broker.oauth.issue import IssuedToken, granted_details, issue_access_token
from broker.oauth.signing import MAX_TOKEN_BYTES
from broker.store import grants
from broker.store.grant_tables import Access, AccessToken, Grant
from tests.oauth.world import ISSUER, World, narrowed


async def issue(world: World, lifetime: int | None = None) -> tuple[Grant, IssuedToken]:
    client = await world.register()

    async def work(tx: AsyncSession) -> tuple[Grant, IssuedToken]:
        grant = await world.grant(tx, client.id)
        token = await issue_access_token(tx, world.signer, world.settings, grant, now=world.clock(), lifetime=lifetime)
        return grant, token

    return await world.db.write(work)


async def test_the_claims_are_those_of_rfc_9068_and_name_no_person(world: World) -> None:
    grant, issued = await issue(world)
    keys = KeySet.import_key_set(world.signer.jwks(world.clock()))  # type: ignore[arg-type]
    verified = jws.deserialize_compact(issued.token.reveal(), keys, algorithms=["ES256"])
    claims = json.loads(verified.payload)
    now = world.clock() // 1_000_000
    assert verified.headers()["typ"] == "at+jwt"
    assert claims.pop("authorization_details") == [element.to_wire() for element in issued.details]
    assert claims.pop("sub") != grant.user_id
    assert claims == {
        "iss": ISSUER,
        "aud": f"{ISSUER}/proxy",
        "client_id": grant.client_id,
        "iat": now,
        "exp": now + 3600,
        "jti": issued.jti,
        "grant_id": grant.id,
    }


async def test_a_lifetime_may_be_asked_for_and_ends_with_the_grant(world: World) -> None:
    assert (await issue(world, lifetime=60))[1].expires_in == 60
    assert (await issue(world, lifetime=10**9))[1].expires_in == 86_400


async def test_nothing_is_issued_once_the_grant_has_ended(world: World) -> None:
    grant, _ = await issue(world)
    world.clock.turn(86_400)

    async def again(tx: AsyncSession) -> None:
        kept = await grants.load(tx, grant.id)
        assert kept is not None
        await issue_access_token(tx, world.signer, world.settings, kept, now=world.clock())

    with pytest.raises(OAuthError, match="not valid"):
        await world.db.write(again)
    assert await world.db.read(lambda tx: granted_details(tx, grant.id, world.clock())) == ()


async def test_a_paused_grant_still_gives_tokens_so_that_nothing_is_lost_by_a_pause(world: World) -> None:
    client = await world.register()
    tokens = await world.tokens(client)
    await world.db.write(lambda tx: grants.move(tx, tokens["grant_id"], GrantEvent.PAUSE, world.clock()))
    assert (await world.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_details_too_large_for_a_token_stay_out_of_it_and_in_the_answer(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    models = [f"model-{number:03d}-{'x' * 150}" for number in range(64)]

    async def widen(tx: AsyncSession) -> None:
        (access,) = await grants.load_accesses(tx, grant.id)
        access.models = json.dumps(models)

    await world.db.write(widen)
    body = (await world.exchange(client, code)).json()
    assert body["authorization_details"][0]["models"] == models
    assert len(body["access_token"]) < MAX_TOKEN_BYTES
    assert await world.is_live(body["access_token"])


async def test_a_narrowed_token_carries_its_caps_by_access(world: World) -> None:
    client = await world.register()
    code, grant = await world.code(client)
    body = (await world.exchange(client, code, authorization_details=narrowed(max_requests=3))).json()
    claims = world.signer.verify_access_token(body["access_token"], world.clock())

    async def stored(tx: AsyncSession) -> tuple[Access, str | None]:
        (access,) = await grants.load_accesses(tx, grant.id)
        row = await tx.get(AccessToken, claims.jti)
        assert row is not None
        return access, row.caps

    access, caps = await world.db.read(stored)
    assert json.loads(caps or "") == {access.id: body["authorization_details"][0]}
    assert body["authorization_details"][0]["max_requests"] == 3
