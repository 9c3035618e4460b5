"""A client fetches the receipts of its own grant."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.oauth.grants_api import MOST_RECEIPTS
from broker.store import receipts
from broker.store.grant_tables import ConsentReceipt
from tests.oauth.test_grants_api import basic, bearer
from tests.oauth.world import Registered, World


async def leave(world: World, client: Registered, grant_id: str, number: int) -> None:
    async def work(tx: AsyncSession) -> None:
        row = ConsentReceipt(
            id=f"rcp_{number}",
            request_id=f"grq_{number}",
            grant_id=grant_id,
            user_id=world.user_id,
            client_id=client.id,
            signed=f"signed {number}",
            shown="Personal (OpenAI, sk-…9xQ2)",
            created_at=world.clock() + number,
        )
        await receipts.add(tx, row)

    await world.db.write(work)


async def test_a_client_reads_the_receipts_of_its_grant_and_not_the_words_of_the_page(world: World) -> None:
    client = await world.register(public=False)
    tokens = await world.tokens(client)
    path = f"/oauth/grants/{tokens['grant_id']}/receipts"
    for number in range(MOST_RECEIPTS + 1):
        await leave(world, client, tokens["grant_id"], number)
    for authorization in (bearer(tokens), basic(client)):
        answer = await world.http.get(path, headers={"authorization": authorization})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        found = answer.json()["receipts"]
        assert found[0] == {"id": f"rcp_{MOST_RECEIPTS}", "receipt": f"signed {MOST_RECEIPTS}"}
        assert len(found) == MOST_RECEIPTS
        assert "9xQ2" not in answer.text


async def test_another_client_and_nobody_read_none(world: World) -> None:
    client, other = await world.register(), await world.register(public=False)
    tokens = await world.tokens(client)
    await leave(world, client, tokens["grant_id"], 1)
    path = f"/oauth/grants/{tokens['grant_id']}/receipts"
    assert (await world.http.get(path)).status_code == 401
    for authorization in (basic(other), bearer(await world.tokens(other))):
        answer = await world.http.get(path, headers={"authorization": authorization})
        assert answer.status_code == 404
        assert "signed" not in answer.text
