"""What is looked at again and again is seen as it is committed, and a store that does not answer says so."""

import pytest

from broker.core.errors import Unavailable
from broker.store import changes, schema
from tests.stores import Store


async def test_a_glance_sees_what_was_just_committed(store: Store) -> None:
    db, other = store.open(), store.open()
    before = await changes.seen(db)
    await other.write(changes.bump)
    assert await changes.seen(db) == before + 1
    assert await schema.revision_now(db) == schema.HEAD
    await db.close()
    await other.close()


async def test_a_glance_at_a_store_that_does_not_answer_is_an_outage(store: Store) -> None:
    store.take_down()
    db = store.open()
    with pytest.raises(Unavailable):
        await changes.seen(db)
    await db.close()
