"""How often strangers' hosts are asked."""

import asyncio

import pytest

from broker.oauth.paced_fetch import A_HOST_A_MINUTE, A_MINUTE, AT_ONCE, AskedTooOften, PacedFetch
from broker.providers.fetch import Fetched, NotFetched
from tests.oauth.published import PublishedWeb
from tests.oauth.world import TurnedClock


async def ask(fetch: PacedFetch, url: str) -> None:
    await fetch(url, most=1_000, accept="application/json")


async def test_one_host_is_asked_only_so_often_whatever_it_is_asked_for() -> None:
    web, clock = PublishedWeb(), TurnedClock()
    for number in range(A_HOST_A_MINUTE):
        web.publish(f"https://victim.example/{number}", {})
    fetch = PacedFetch(web, clock)
    for number in range(A_HOST_A_MINUTE):
        await ask(fetch, f"https://victim.example/{number}")
    with pytest.raises(AskedTooOften):
        await ask(fetch, "https://VICTIM.example/0")
    assert len(web.asked) == A_HOST_A_MINUTE
    clock.turn(120)
    await ask(fetch, "https://victim.example/0")


async def test_all_hosts_together_are_asked_only_so_often() -> None:
    web, clock = PublishedWeb(), TurnedClock()
    fetch = PacedFetch(web, clock)
    for number in range(A_MINUTE):
        with pytest.raises(NotFetched, match="nobody answers"):
            await ask(fetch, f"https://h{number}.example/")
    with pytest.raises(AskedTooOften):
        await ask(fetch, "https://another.example/")


async def test_what_is_no_address_is_not_asked() -> None:
    web = PublishedWeb()
    with pytest.raises(NotFetched):
        await ask(PacedFetch(web, TurnedClock()), "https://[/")
    assert web.asked == []


async def test_hosts_that_are_slow_to_answer_are_few_at_once() -> None:
    answers = asyncio.Event()

    async def slow(url: str, *, most: int, accept: str) -> Fetched:
        await answers.wait()
        raise NotFetched("silent")

    fetch = PacedFetch(slow, TurnedClock())
    waiting = [asyncio.create_task(ask(fetch, f"https://h{number}.example/")) for number in range(AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(AskedTooOften):
        await ask(fetch, "https://another.example/")
    answers.set()
    assert {type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)} == {NotFetched}
    with pytest.raises(NotFetched, match="silent"):
        await ask(fetch, "https://another.example/")
