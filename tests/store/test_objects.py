"""What is kept at providers, as both stores keep it: it is its grant's, and one call goes on with it at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from broker.store import objects
from broker.store.object_tables import ProviderObject
from tests.books.world import Books, Lent
from tests.stores import Store
from tests.turned_clock import TurnedClock


@pytest.fixture
async def books(store: Store) -> AsyncIterator[Books]:
    opened = Books(store.open(), TurnedClock())
    await opened.open()
    yield opened
    await opened.db.close()


@pytest.fixture
async def lent(books: Books) -> Lent:
    return await books.lend()


@pytest.fixture
async def other(books: Books) -> Lent:
    return await books.lend()


def made(
    books: Books, lent: Lent, remote_id: str, kind: str = "conversation", **more: int | str | None
) -> ProviderObject:
    terms: dict[str, Any] = {"model": "gpt-4o-mini", "created_at": books.clock()}
    return ProviderObject(
        digest=objects.digest_of("openai", kind, remote_id),
        provider="openai",
        kind=kind,
        grant_id=lent.grant_id,
        access_id=lent.access_id,
        credential_id=books.credential_id,
        **(terms | more),
    )


async def keep(books: Books, row: ProviderObject) -> bool:
    return await books.db.write(lambda tx: objects.keep(tx, row))


async def found(books: Books, lent: Lent, *digests: str, at: int | None = None) -> Sequence[ProviderObject]:
    now = books.clock() if at is None else at
    return await books.db.read(lambda tx: objects.load(tx, digests, lent.grant_id, now))


async def begin(books: Books, lent: Lent, digest: str, facts: str, mine: str) -> bool:
    return await books.db.write(lambda tx: objects.begin(tx, digest, lent.grant_id, facts, mine))


async def end(books: Books, digest: str, mine: str, facts: str, tokens: int | None, model: str = "") -> None:
    await books.db.write(lambda tx: objects.end(tx, digest, mine, facts, tokens, model))


def test_an_id_means_something_of_one_kind_at_one_provider_only() -> None:
    names = [("openai", "file", "a"), ("openai", "batch", "a"), ("google", "file", "a"), ("openai", "file", "b")]
    assert len({objects.digest_of(*name) for name in names}) == 4


async def test_nobody_finds_it_but_the_grant_that_made_it(books: Books, lent: Lent, other: Lent) -> None:
    row = made(books, lent, "conv_1")
    assert await keep(books, row)
    assert [each.digest for each in await found(books, lent, row.digest, "unknown")] == [row.digest]
    assert await found(books, other, row.digest) == []
    assert await found(books, lent) == []


async def test_what_another_grant_made_stays_that_ones(books: Books, lent: Lent, other: Lent) -> None:
    digest = made(books, lent, "conv_1").digest
    assert await keep(books, made(books, lent, "conv_1", tokens=5))
    assert not await keep(books, made(books, other, "conv_1", tokens=9))
    [row] = await found(books, lent, digest)
    assert (row.grant_id, row.tokens) == (lent.grant_id, 5)


async def test_kept_again_it_only_tells_more_of_it(books: Books, lent: Lent) -> None:
    digest = made(books, lent, "resp_1", "response").digest
    for tokens, then in ((None, None), (7, 7), (None, 7)):
        assert await keep(books, made(books, lent, "resp_1", "response", tokens=tokens))
        assert [row.tokens for row in await found(books, lent, digest)] == [then]


async def test_it_ends_when_the_provider_will_have_deleted_it(books: Books, lent: Lent) -> None:
    row = made(books, lent, "file_1", "file", ends_at=books.clock() + 10)
    digest = row.digest
    await keep(books, row)
    assert len(await found(books, lent, digest, at=books.clock() + 9)) == 1
    assert await found(books, lent, digest, at=books.clock() + 10) == []


async def test_only_its_grant_has_it_forgotten(books: Books, lent: Lent, other: Lent) -> None:
    digest = made(books, lent, "file_1", "file").digest
    await keep(books, made(books, lent, "file_1", "file"))
    await books.db.write(lambda tx: objects.forget(tx, [digest], other.grant_id))
    assert len(await found(books, lent, digest)) == 1
    await books.db.write(lambda tx: objects.forget(tx, [digest, "unknown"], lent.grant_id))
    assert await found(books, lent, digest) == []


async def test_one_of_many_calls_goes_on_with_a_conversation(books: Books, lent: Lent) -> None:
    digest = made(books, lent, "conv_1").digest
    await keep(books, made(books, lent, "conv_1", tokens=5))
    taken = await asyncio.gather(*(begin(books, lent, digest, "{}", f"call {number}") for number in range(8)))
    assert sorted(taken) == [False] * 7 + [True]
    [row] = await found(books, lent, digest)
    assert (row.facts, row.tokens) == (f"call {taken.index(True)}", None)


async def test_a_call_that_begins_again_what_it_began_has_it_and_another_grant_never(
    books: Books, lent: Lent, other: Lent
) -> None:
    digest = made(books, lent, "conv_1").digest
    await keep(books, made(books, lent, "conv_1"))
    assert not await begin(books, other, digest, "{}", "other")
    assert [await begin(books, lent, digest, "{}", "mine") for _ in range(2)] == [True, True]
    assert not await begin(books, lent, digest, "{}", "later")


async def test_only_the_call_that_began_it_ends_it_and_once(books: Books, lent: Lent) -> None:
    digest = made(books, lent, "conv_1").digest
    await keep(books, made(books, lent, "conv_1"))
    await begin(books, lent, digest, "{}", "mine")
    await end(books, digest, "another", '{"n":1}', 10)
    assert [row.facts for row in await found(books, lent, digest)] == ["mine"]
    await end(books, digest, "mine", "mine", 10)
    await end(books, digest, "mine", '{"n":2}', 20, "gpt-4o")
    [row] = await found(books, lent, digest)
    assert (row.facts, row.tokens, row.model) == ("mine", 10, "gpt-4o-mini")


async def test_what_ended_with_another_model_says_so_and_the_next_call_may_begin(books: Books, lent: Lent) -> None:
    digest = made(books, lent, "conv_1").digest
    await keep(books, made(books, lent, "conv_1"))
    await begin(books, lent, digest, "{}", "mine")
    await end(books, digest, "mine", '{"n":2}', 20, "gpt-4o")
    [row] = await found(books, lent, digest)
    assert (row.facts, row.tokens, row.model) == ('{"n":2}', 20, "gpt-4o")
    assert await begin(books, lent, digest, '{"n":2}', "next")
