"""The official google-genai SDK, unmodified: batches of requests, held at their bound and settled by what these used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.fake_google_state import BatchingGoogle
from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.serve.installation import Granted, Installation, dollars
from tests.serve.running import PATIENCE

MODEL = "gemini-2.5-flash"
USED = {"promptTokenCount": 1_000, "candidatesTokenCount": 150, "thoughtsTokenCount": 50, "totalTokenCount": 1_200}


def request(**more: Any) -> Any:
    config = {"max_output_tokens": 400} | more
    return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "config": config}


def code_of(refused: errors.APIError) -> str:
    """Ours; Google's own `code` is the status."""
    return str(refused.details["error"]["details"][0]["reason"])


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    kept: BatchingGoogle

    def client(self, granted: Granted, **more: Any) -> genai.Client:
        options = types.HttpOptions(base_url=f"{self.address}/proxy/google", timeout=int(PATIENCE * 1_000), **more)
        return genai.Client(api_key=granted.token, http_options=options)

    def grant(self, **more: Any) -> Granted:
        usual = {"provider": "google", "models": [MODEL], "actions": ["chat", "batches"]}
        return self.installation.grant(**(usual | more))

    def figures(self, granted: Granted) -> tuple[int, int]:
        (access,) = self.installation.show(granted.grant_id)["access"]
        return access["budget"]["settled"], access["budget"]["held"]

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kept = BatchingGoogle()
    with provider_in_a_thread(kept) as provider:
        folder = tmp_path_factory.mktemp("batches")
        installation = Installation(folder, {"BROKER_PROVIDER_GOOGLE_BASE_URL": provider.url})
        installation.furnish("google")
        with installation.serving() as server:
            yield Place(installation, server.address, provider, kept)


def made(client: genai.Client, *requests: Any) -> str:
    batch = client.batches.create(model=MODEL, src=list(requests), config={"display_name": "Mine"})
    assert batch.name is not None
    return batch.name


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_a_batch_is_held_while_it_goes_on_and_settled_by_its_results(place: Place, version: str) -> None:
    granted = place.grant()
    with place.client(granted, api_version=version) as client:
        name = made(client, request(), request(max_output_tokens=50, system_instruction="Be kind."))
        settled, held = place.figures(granted)
        assert settled == 0
        # Twice 400 tokens at $1.25 a million, and the bytes of two requests, eleven tokens each at most, at $0.15.
        assert 1_000 < held < 5_000
        assert client.batches.get(name=name).state == types.JobState.JOB_STATE_PENDING
        place.kept.end(name, USED, USED)
        ended = client.batches.get(name=name)
        assert ended.dest is not None
        assert ended.dest.inlined_responses is not None
        told = [each.response.text for each in ended.dest.inlined_responses if each.response]
    assert (ended.state, told) == (types.JobState.JOB_STATE_SUCCEEDED, ["Hello.", "Hello."])
    # 2,000 tokens at $0.15 and 400 at $1.25 a million: the price of batches.
    assert place.settled(granted) == 800
    asked = [each["request"] for each in place.kept.asked_with[name]]
    assert [each["generationConfig"]["maxOutputTokens"] for each in asked] == [400, 50]
    assert asked[1]["systemInstruction"]["parts"] == [{"text": "Be kind."}]
    assert place.kept.batches[name]["metadata"]["displayName"] == "Mine"
    assert "OK" in place.installation.broker("ledger", "verify")


def test_what_failed_costs_nothing(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        name = made(client, request(), request())
        place.kept.end(name, USED | {"serviceTier": "batch"}, None)
        client.batches.get(name=name)
    assert place.settled(granted) == 400


def test_a_batch_of_which_nothing_ran_costs_nothing(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        name = made(client, request())
        place.kept.end(name, None, state="FAILED")
        client.batches.get(name=name)
    assert place.settled(granted) == 0


@pytest.mark.parametrize("usage", [{"promptTokenCount": -1}, {"candidatesTokenCount": 1}, {}], ids=str)
def test_a_usage_that_cannot_be_true_is_booked_at_the_bound(place: Place, usage: dict[str, int]) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        name = made(client, request(), request())
        _, held = place.figures(granted)
        place.kept.end(name, USED, usage)
        client.batches.get(name=name)
    assert place.settled(granted) == held


@pytest.mark.parametrize(
    "stats",
    [None, {"successfulRequestCount": 2}, {"successfulRequestCount": "-2"}, {"successfulRequestCount": "1"}, {}],
    ids=str,
)
def test_results_that_are_not_as_many_as_were_said_are_booked_at_the_bound(place: Place, stats: Any) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        name = made(client, request(), request())
        _, held = place.figures(granted)
        place.kept.end(name, USED, USED)
        place.kept.batches[name]["metadata"]["batchStats"] = stats
        client.batches.get(name=name)
    assert place.settled(granted) == held


def test_a_batch_is_cancelled_and_deleted_once_it_is_settled(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        name = made(client, request(), request())
        with pytest.raises(errors.ClientError) as refused:
            client.batches.delete(name=name)
        assert code_of(refused.value) == "in_progress"
        client.batches.cancel(name=name)
        assert name in place.kept.cancelled
        place.kept.end(name, USED, None, state="CANCELLED")
        client.batches.get(name=name)
        assert place.settled(granted) == 400
        client.batches.delete(name=name)
    assert name not in place.kept.batches


def test_each_grant_sees_its_own_and_nothing_else(place: Place) -> None:
    granted, other = place.grant(), place.grant()
    with place.client(granted) as client:
        names = [made(client, request()) for _ in range(3)]
        assert [batch.name for batch in client.batches.list()] == names[::-1]
        assert [batch.name for batch in client.batches.list(config={"page_size": 2}).page] == names[:0:-1]
    arrived = len(place.provider.asked)
    with place.client(other) as client:
        for name in (names[0], "batches/never"):
            for ask in (client.batches.get, client.batches.cancel, client.batches.delete):
                with pytest.raises(errors.ClientError) as refused:
                    ask(name=name)
                assert (refused.value.code, code_of(refused.value)) == (404, "not_found")
        assert len(place.provider.asked) == arrived
        assert list(client.batches.list()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tools": [{"google_search": {}}]}, "not_boundable"),
        ({"tools": [{"code_execution": {}}]}, "action_not_granted"),
        ({"cached_content": "cachedContents/x"}, "action_not_granted"),
        ({"service_tier": "flex"}, "not_boundable"),
    ],
    ids=str,
)
def test_one_request_that_is_not_allowed_refuses_the_batch(place: Place, changes: dict[str, Any], code: str) -> None:
    granted = place.grant(actions=["chat", "batches", "web_search"])
    arrived = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(errors.ClientError) as refused:
        made(client, request(), request(**changes))
    assert code_of(refused.value) == code
    assert len(place.provider.asked) == arrived
    assert place.settled(granted) == 0


def test_a_file_of_requests_is_refused(place: Place) -> None:
    arrived = len(place.provider.asked)
    with place.client(place.grant()) as client, pytest.raises(errors.ClientError) as refused:
        client.batches.create(model=MODEL, src="files/abc")
    assert code_of(refused.value) == "not_boundable"
    assert "batch.inputConfig.fileName" in str(refused.value)
    assert len(place.provider.asked) == arrived


def test_batches_need_their_action_a_price_and_money_for_all_of_it(place: Place) -> None:
    plain, poor, other = place.grant(actions=["chat"]), place.grant(budget=dollars(600)), place.grant(models=["*"])
    arrived = len(place.provider.asked)
    for granted, model, code in (
        (plain, MODEL, "action_not_granted"),
        (poor, MODEL, "budget_exhausted"),
        (place.grant(), "gemini-2.5-pro", "model_not_granted"),
        (other, "gemini-2.0-flash", "no_price"),
    ):
        with place.client(granted) as client, pytest.raises(errors.ClientError) as refused:
            client.batches.create(model=model, src=[request(), request()])
        assert code_of(refused.value) == code
    assert len(place.provider.asked) == arrived
