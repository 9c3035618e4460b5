"""What ends a token's worth, or holds it back."""

import pytest

from broker.core.clock import DAY
from broker.core.grant import GrantEvent
from broker.store.grant_tables import TokenFamily
from tests.books.world import Books, reported


async def test_an_unknown_token_is_not_valid(books: Books) -> None:
    assert (await books.refused("tok_unknown")).code == "invalid_token"


async def test_a_token_ends_at_its_end(books: Books) -> None:
    lent = await books.lend()
    jti = await books.token(lent.grant_id, ends_at=books.clock() + 60_000_000)
    books.clock.now += 59_999_999
    await books.reserve(jti)
    books.clock.now += 1
    assert (await books.refused(jti)).code == "invalid_token"
    await books.reserve(lent)


async def test_a_grant_whose_accesses_have_all_ended_is_expired(books: Books) -> None:
    lent = await books.lend({"ends_at": books.clock() + DAY})
    books.clock.turn(86_400)
    assert (await books.refused(lent)).code == "invalid_token"


async def test_an_access_that_has_ended_is_no_longer_granted(books: Books) -> None:
    lent = await books.lend({"ends_at": books.clock() + DAY}, {"models": '["o3"]'})
    books.clock.turn(86_400)
    assert (await books.refused(lent)).code == "model_not_granted"
    await books.run("UPDATE access SET ended_at = 1 WHERE id = :id", id=lent.access_ids[1])
    assert (await books.refused(lent, model="o3")).code == "invalid_token"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (GrantEvent.PAUSE, "grant_paused"),
        (GrantEvent.FREEZE, "grant_frozen"),
        (GrantEvent.REVOKE, "invalid_token"),
        (GrantEvent.EXPIRE, "invalid_token"),
    ],
)
async def test_a_grant_that_is_not_active_admits_nothing(books: Books, event: GrantEvent, code: str) -> None:
    lent = await books.lend()
    assert await books.move(lent.grant_id, event)
    assert (await books.refused(lent)).code == code


async def test_a_resumed_grant_admits_again(books: Books) -> None:
    lent = await books.lend()
    await books.move(lent.grant_id, GrantEvent.PAUSE)
    assert await books.move(lent.grant_id, GrantEvent.RESUME)
    await books.reserve(lent)


@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE "user" SET disabled_at = 1',
        "UPDATE client SET removed_at = 1",
        "UPDATE access_token SET revoked_at = 1",
        "UPDATE token_family SET revoked_at = 1",
    ],
    ids=["a disabled user", "a removed app", "a revoked token", "a revoked family"],
)
async def test_a_token_is_worth_nothing_with(books: Books, sql: str) -> None:
    lent = await books.lend()
    await books.add(TokenFamily(id="fam", grant_id=lent.grant_id, client_id=books.client_id, created_at=0))
    jti = await books.token(lent.grant_id, family_id="fam")
    await books.reserve(jti)
    await books.run(sql)
    assert (await books.refused(jti)).code == "invalid_token"


async def test_a_removed_key_is_unavailable(books: Books) -> None:
    lent = await books.lend()
    await books.run("UPDATE credential SET removed_at = 1")
    assert (await books.refused(lent)).code == "provider_key_unavailable"


async def test_a_key_of_another_provider_is_never_used(books: Books) -> None:
    await books.add(books.key("crd_other", provider="anthropic"))
    lent = await books.lend(credential_id="crd_other")
    assert (await books.refused(lent)).code == "provider_key_unavailable"


async def test_an_access_whose_key_is_there_goes_before_one_whose_key_is_gone(books: Books) -> None:
    await books.add(books.key("crd_gone"))
    lent = await books.lend({"credential_id": "crd_gone"}, {})
    await books.run("UPDATE credential SET removed_at = 1 WHERE id = 'crd_gone'")
    assert (await books.reserve(lent)).access_id == lent.access_ids[1]


async def test_a_call_that_ran_is_settled_after_its_grant_has_ended(books: Books) -> None:
    lent = await books.lend()
    held = await books.reserve(lent)
    await books.move(lent.grant_id, GrantEvent.REVOKE)
    assert (await books.settle(held, reported(10, 0))).cost == 10
    assert (await books.money(lent.access_id)).held == 0
