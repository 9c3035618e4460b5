"""The official anthropic SDK, unmodified: message batches, held at their bound and settled by what their requests used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest

from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.fake_state import BatchingAnthropic
from tests.serve.installation import Granted, Installation, dollars

MODEL = "claude-haiku-4-5"
USED = {"input_tokens": 1_000, "output_tokens": 200, "service_tier": "batch"}


def request(name: str, **more: Any) -> Any:
    params = {"model": MODEL, "max_tokens": 400, "messages": [{"role": "user", "content": "Hello"}]}
    return {"custom_id": name, "params": params | more}


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    kept: BatchingAnthropic

    def client(self, granted: Granted) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=f"{self.address}/proxy/anthropic", api_key=granted.token, max_retries=0)

    def grant(self, **more: Any) -> Granted:
        usual = {"provider": "anthropic", "models": [MODEL], "actions": ["chat", "batches"]}
        return self.installation.grant(**(usual | more))

    def figures(self, granted: Granted) -> tuple[int, int]:
        (access,) = self.installation.show(granted.grant_id)["access"]
        return access["budget"]["settled"], access["budget"]["held"]

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kept = BatchingAnthropic()
    with provider_in_a_thread(kept) as provider:
        folder = tmp_path_factory.mktemp("batches")
        installation = Installation(folder, {"BROKER_PROVIDER_ANTHROPIC_BASE_URL": provider.url})
        installation.furnish("anthropic")
        with installation.serving() as server:
            yield Place(installation, server.address, provider, kept)


def test_a_batch_is_held_while_it_goes_on_and_settled_by_its_results(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.messages.batches.create(requests=[request("a"), request("b", max_tokens=50)])
        settled, held = place.figures(granted)
        assert settled == 0
        # Twice 400 tokens at $2.50 a million, and the bytes of two requests, eleven tokens each at most, at $0.625.
        assert 2_000 < held < 10_000
        assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
        place.kept.end(made.id, USED, USED)
        ended = client.messages.batches.retrieve(made.id)
        assert ended.results_url == f"{place.address}/proxy/anthropic/v1/messages/batches/{made.id}/results"
        told = [line.result.type for line in client.messages.batches.results(made.id)]
    assert told == ["succeeded", "succeeded"]
    # 2,000 tokens at $0.50 and 400 at $2.50 a million: the price of batches.
    assert place.settled(granted) == 2_000
    assert [line["params"]["max_tokens"] for line in place.kept.asked_with[made.id]] == [400, 50]
    assert "OK" in place.installation.broker("ledger", "verify")


def test_what_failed_costs_nothing(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.messages.batches.create(requests=[request("a"), request("b")])
        place.kept.end(made.id, USED, None)
        client.messages.batches.retrieve(made.id)
    assert place.settled(granted) == 1_000


@pytest.mark.parametrize("usage", [{"input_tokens": -1, "output_tokens": 1}, {"output_tokens": 1}, {}], ids=str)
def test_a_usage_that_cannot_be_true_is_booked_at_the_bound(place: Place, usage: dict[str, int]) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.messages.batches.create(requests=[request("a"), request("b")])
        _, held = place.figures(granted)
        place.kept.end(made.id, USED, usage)
        client.messages.batches.retrieve(made.id)
    assert place.settled(granted) == held


def test_results_that_are_not_as_many_as_were_said_are_booked_at_the_bound(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.messages.batches.create(requests=[request("a"), request("b")])
        _, held = place.figures(granted)
        place.kept.end(made.id, USED, USED)
        place.kept.results[made.id].pop()
        client.messages.batches.retrieve(made.id)
    assert place.settled(granted) == held


def test_a_batch_is_deleted_once_it_is_settled(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.messages.batches.create(requests=[request("a")])
        with pytest.raises(anthropic.ConflictError) as refused:
            client.messages.batches.delete(made.id)
        assert refused.value.body["error"]["code"] == "in_progress"  # type: ignore[index]
        assert client.messages.batches.cancel(made.id).processing_status == "canceling"
        place.kept.end(made.id, None)
        client.messages.batches.retrieve(made.id)
        assert place.settled(granted) == 0
        client.messages.batches.delete(made.id)
    assert made.id not in place.kept.batches


def test_each_grant_sees_its_own_and_nothing_else(place: Place) -> None:
    granted, other = place.grant(), place.grant()
    with place.client(granted) as client:
        made = [client.messages.batches.create(requests=[request("a")]).id for _ in range(3)]
        assert [batch.id for batch in client.messages.batches.list(limit=20)] == made[::-1]
        page = client.messages.batches.list(limit=2)
        assert ([batch.id for batch in page.data], page.has_more) == (made[:0:-1], True)
        place.kept.end(made[0], None)
    arrived = len(place.provider.asked)
    with place.client(other) as client:
        for batch_id in (made[0], "msgbatch_never"):
            for ask in (
                client.messages.batches.retrieve,
                client.messages.batches.cancel,
                client.messages.batches.delete,
            ):
                with pytest.raises(anthropic.NotFoundError):
                    ask(batch_id)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.list(after_id=made[0])
        assert len(place.provider.asked) == arrived
        assert list(client.messages.batches.list()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "claude-sonnet-4-5"}, "not_boundable"),
        ({"service_tier": "auto"}, "not_boundable"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "action_not_granted"),
        ({"stream": True}, "invalid_request"),
    ],
    ids=str,
)
def test_one_request_that_is_not_allowed_refuses_the_batch(place: Place, changes: dict[str, Any], code: str) -> None:
    granted = place.grant(models=[MODEL, "claude-sonnet-4-5"])
    arrived = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.batches.create(requests=[request("a"), request("b", **changes)])
    assert refused.value.body["error"]["code"] == code  # type: ignore[index]
    assert len(place.provider.asked) == arrived
    assert place.settled(granted) == 0


def test_batches_need_their_action_and_money_for_all_of_it(place: Place) -> None:
    plain, poor = place.grant(actions=["chat"]), place.grant(budget=dollars(1_500))
    arrived = len(place.provider.asked)
    with place.client(plain) as client, pytest.raises(anthropic.PermissionDeniedError):
        client.messages.batches.create(requests=[request("a")])
    with place.client(poor) as client, pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.batches.create(requests=[request("a"), request("b")])
    assert refused.value.status_code == 402
    assert len(place.provider.asked) == arrived
