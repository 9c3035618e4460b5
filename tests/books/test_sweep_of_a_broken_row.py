"""A row that cannot be read holds up no other."""

from tests.books.world import Books


async def test_the_other_rows_of_a_dead_worker_are_settled_all_the_same(books: Books) -> None:
    lent = await books.lend()
    broken, whole = [await books.reserve(lent) for _ in range(2)]
    price = (await books.row(broken)).price
    await books.run("UPDATE reservation SET price = '[]' WHERE id = :id", id=broken.id)
    await books.run("UPDATE boot SET lease_ends_at = 0")
    assert await books.sweep() == 1
    assert {(await books.row(each)).state for each in (broken, whole)} == {"held", "settled"}
    await books.run("UPDATE reservation SET price = :price WHERE id = :id", id=broken.id, price=price)
    assert await books.sweep() == 1
