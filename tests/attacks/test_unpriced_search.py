"""A model that searches the web by itself is billed by the search, which no price by token covers."""

import pytest

from broker.prices.book import PriceBook
from tests.proxy.world import ASK, World

SEARCHING = [name for name in PriceBook().models("openai") if "search" in name.split("-")]


def test_the_price_book_has_such_models() -> None:
    assert SEARCHING


@pytest.mark.parametrize("model", [*SEARCHING, "o3-deep-research"])
async def test_a_model_that_always_searches_is_not_sold_by_the_token(world: World, model: str) -> None:
    token = await world.token(models='["*"]')
    refused = await world.call(token, ASK | {"model": model})
    assert (refused.status, refused.code) == (403, "action_not_granted")
    both = await world.token(models='["*"]', actions='["chat", "web_search"]')
    assert (await world.call(both, ASK | {"model": model})).code == "not_boundable"
    assert world.provider.asked == []
