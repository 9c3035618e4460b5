"""A connected account behind an access: its token is renewed once, in time or when it is refused, and sealed again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import SECOND
from broker.core.secret import Secret
from broker.providers.client import Waits
from broker.providers.pooled import PooledClient
from broker.proxy.renewal import Renewal
from broker.store import spare_keys
from broker.store.grant_tables import Access
from broker.store.tables import AuditEntry, Credential
from broker.store.token_tables import OAuthToken, ProviderOAuth
from broker.vault.credentials import add_tokens, open_sealed
from broker.vault.oauth_tokens import Tokens, unpack
from broker.vault.places import client_secret_place
from tests.fake_authorization_server import CLIENT_ID, CLIENT_SECRET, AuthorizationServer
from tests.fake_provider import Asked, completion, fake_provider, usage, whole
from tests.proxy.world import World

LASTS = 20
"""Seconds: less than the lease of a worker, which the clock is turned by too."""

REFUSED = {
    "error": {"message": "Bad token.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
}


@dataclass
class Account:
    """A person's account at a provider, whose API takes its newest token only."""

    world: World
    server: AuthorizationServer
    credential_id: str = ""
    token: str = ""

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        good = asked.header("authorization") == f"Bearer {self.server.good}"
        writer.write(whole(completion(used=usage())) if good else whole(REFUSED, 401))

    async def open(self, url: str, lasts: int) -> None:
        """With tokens that are good for so many seconds by what was said of them."""
        world, now = self.world, self.world.clock()
        self.server.tokens()
        tokens = Tokens(Secret(self.server.good), Secret(self.server.refresh), now + lasts * SECOND)

        async def work(tx: AsyncSession) -> str:
            sealed = world.vault.seal(Secret(CLIENT_SECRET), client_secret_place("openai"))
            tx.add(
                ProviderOAuth(
                    provider="openai", authorize_url=f"{url}/authorize", token_url=f"{url}/token", client_id=CLIENT_ID,
                    sealed_secret=sealed, changed_at=now,
                )
            )  # fmt: skip
            row = await add_tokens(
                tx,
                world.vault,
                provider="openai",
                tokens=tokens,
                name="Account",
                user_id=world.user_id,
                now=now,
                by="x",
            )
            access = (await tx.exec(select(Access))).one()
            await spare_keys.lend(tx, access, [row.id])
            return row.id

        self.token = await world.token()
        self.credential_id = await world.db.write(work)
        world.provider.script = self.answer

    async def status(self) -> int:
        return (await self.world.call(self.token)).status

    async def row(self) -> Credential:
        return await self.world.db.read(lambda tx: tx.get_one(Credential, self.credential_id))

    async def tokens(self) -> Tokens:
        tokens = unpack(open_sealed(self.world.vault, await self.row()))
        assert tokens is not None
        return tokens


@pytest.fixture
async def account(world: World) -> AsyncIterator[Account]:
    server = AuthorizationServer()
    async with fake_provider(server) as place:
        made = Account(world, server)
        await made.open(place.url, lasts=LASTS)
        yield made


async def test_what_a_call_carries_is_the_access_token_alone(account: Account) -> None:
    assert await account.status() == 200
    sent = account.world.provider.asked[-1]
    assert "refresh" not in str(sent)
    row = await account.row()
    assert account.server.good not in row.sealed
    assert account.server.refresh not in row.sealed
    assert row.last_four == account.server.good[-4:]
    assert account.server.refreshes == 0


async def test_twenty_calls_at_its_end_renew_it_once(account: Account) -> None:
    account.world.clock.now += LASTS * SECOND
    before = await account.row()
    answers = await asyncio.gather(*(account.status() for _ in range(20)))
    assert answers == [200] * 20
    assert account.server.refreshes == 1
    after, tokens = await account.row(), await account.tokens()
    assert (tokens.access.reveal(), tokens.refresh) == (account.server.good, Secret(account.server.refresh))
    assert after.version == before.version + 1
    assert tokens.expires_at == account.world.clock() + 3600 * SECOND
    assert len(account.world.provider.asked) == 20


async def test_it_is_renewed_ahead_of_its_end_while_nobody_waits(account: Account, waits: Waits) -> None:
    world = account.world
    client = PooledClient(waits)
    renewals = [Renewal(world.db, world.vault, client, world.clock) for _ in range(2)]
    for _ in range(2):  # the second time it is good for an hour
        await asyncio.gather(*(renewal.look() for renewal in renewals))
        assert account.server.refreshes == 1
    assert await account.status() == 200
    await client.close()


async def test_a_token_that_is_refused_before_its_end_is_renewed_once(account: Account) -> None:
    account.server.good = "another-one-of-today"  # the provider has forgotten the one that we have
    assert await account.status() == 200
    assert account.server.refreshes == 1
    assert len(account.world.provider.asked) == 2
    (row,) = await account.world.at_rest()
    assert (row.mark, row.state) == ("reported", "settled")


async def test_what_can_be_renewed_no_more_is_refused_and_its_owner_told(account: Account) -> None:
    account.server.refresh = "taken back at the provider"
    account.world.clock.now += LASTS * SECOND
    for _ in range(2):
        answered = await account.world.call(account.token)
        assert (answered.status, answered.code) == (503, "provider_key_unavailable")
    assert account.server.refreshes == 1  # it is not asked again and again
    assert (await account.row()).state == "refused"
    assert account.world.provider.asked == []
    assert all(row.cost == 0 for row in await account.world.at_rest())
    assert "credential.refused" in await account.world.db.read(_events)


async def test_a_server_that_is_down_costs_nothing_and_is_asked_again(account: Account) -> None:
    account.world.clock.now += LASTS * SECOND
    account.server.down = True
    assert await account.status() == 503
    assert (await account.row()).state == "working"
    account.server.down = False
    assert await account.status() == 200


async def test_a_secret_that_the_operator_has_to_mend_takes_nobodys_account_away(account: Account) -> None:
    account.world.clock.now += LASTS * SECOND
    account.server.secret = "changed at the provider"
    assert await account.status() == 503
    assert (await account.row()).state == "working"
    account.server.secret = CLIENT_SECRET
    assert await account.status() == 200


async def test_whose_turn_it_was_and_died_holds_nobody_up_for_long(account: Account) -> None:
    world = account.world
    world.clock.now += LASTS * SECOND

    async def leave(tx: AsyncSession) -> None:
        token = await tx.get_one(OAuthToken, account.credential_id)
        token.lease, token.lease_ends_at = "lse_of_the_dead", world.clock() + SECOND

    await world.db.write(leave)
    waiting = asyncio.create_task(account.status())
    await asyncio.sleep(0.3)
    assert account.server.refreshes == 0
    world.clock.now += SECOND
    assert await waiting == 200


async def _events(tx: AsyncSession) -> list[str]:
    return list((await tx.exec(select(AuditEntry.event))).all())
