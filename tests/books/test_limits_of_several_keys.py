"""Limits of keys where an access has several of them."""

from typing import Any

from broker.ledger.overall import key_scope
from broker.ledger.view import grant_object
from broker.ledger.worth import worth_of
from broker.store import spare_keys
from broker.store.grant_tables import Access, AccessToken, Grant
from tests.books.world import Books, Lent

WIDE = {"budget": 10**6}


async def test_of_several_keys_an_app_is_told_what_is_left_on_the_best(books: Books) -> None:
    lent, spare = await books.lend(**WIDE), await books.lent_key()

    async def work(tx: Any) -> None:
        access = await tx.get_one(Access, lent.access_id)
        await spare_keys.lend(tx, access, [books.credential_id, spare], "priority")

    await books.db.write(work)
    await books.limit("credential", books.own_key, "day", budget=200)
    await books.limit("credential", key_scope("", spare), "day", budget=700)
    for left in (700, 700, 500):
        assert await told_is_left(books, lent) == left
        await books.reserve(lent)
    await books.limit("credential", key_scope("", spare), "day", budget=450)
    assert await told_is_left(books, lent) == 50
    assert (await books.refused(lent)).extra["remaining"] == 50


async def told_is_left(books: Books, lent: Lent) -> int:
    grant = await books.db.read(lambda tx: tx.get_one(Grant, lent.grant_id))
    told: Any = await books.db.read(lambda tx: grant_object(tx, grant, books.clock()))
    token = await books.db.read(lambda tx: tx.get_one(AccessToken, lent.jti))
    worth = await books.db.read(lambda tx: worth_of(tx, token, books.clock()))
    assert worth is not None
    assert worth.usage == tuple(told["access"])
    return int(told["access"][0]["budget"]["remaining"])
