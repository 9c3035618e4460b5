"""The official openai SDK, unmodified: files that are kept, and batches of their lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.fake_openai import response
from tests.fake_provider import FakeProvider, completion, provider_in_a_thread, usage
from tests.fake_state import KeepingOpenAI
from tests.serve.installation import Granted, Installation, dollars

CHAT: Any = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


def line(name: str, url: str = CHAT, **more: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": 100}
    return {"custom_id": name, "method": "POST", "url": url, "body": body | more}


def lines(*asked: dict[str, Any]) -> tuple[str, bytes]:
    return "lines.jsonl", b"\n".join(json.dumps(each).encode() for each in asked)


@dataclass
class Place:
    installation: Installation
    address: str
    provider: FakeProvider
    kept: KeepingOpenAI

    def client(self, granted: Granted) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/proxy/openai/v1", api_key=granted.token, max_retries=0)

    def grant(self, **more: Any) -> Granted:
        return self.installation.grant(**({"actions": ["chat", "files", "batches"]} | more))

    def figures(self, granted: Granted) -> tuple[int, int]:
        (access,) = self.installation.show(granted.grant_id)["access"]
        return access["budget"]["settled"], access["budget"]["held"]

    def settled(self, granted: Granted) -> int:
        return self.installation.settled(granted.grant_id)

    def begin(self, client: openai.OpenAI, *asked: dict[str, Any], url: Any = CHAT) -> str:
        file = client.files.create(file=lines(*asked), purpose="batch")
        return client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h").id


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kept = KeepingOpenAI()
    with provider_in_a_thread(kept) as provider:
        folder = tmp_path_factory.mktemp("batches")
        installation = Installation(folder, {"BROKER_PROVIDER_OPENAI_BASE_URL": f"{provider.url}/v1"})
        installation.furnish()
        with installation.serving() as server:
            yield Place(installation, server.address, provider, kept)


def test_a_file_is_kept_listed_read_and_deleted_and_costs_nothing(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        made = client.files.create(file=("notes.txt", b"Some notes."), purpose="user_data")
        assert place.kept.files[made.id] == b"Some notes."
        assert [file.id for file in client.files.list(limit=5)] == [made.id]
        assert client.files.retrieve(made.id).id == made.id
        assert client.files.content(made.id).content == b"Some notes."
        client.files.delete(made.id)
        assert list(client.files.list()) == []
    assert made.id not in place.kept.files
    assert place.settled(granted) == 0


def test_a_file_is_its_grants_and_nobody_elses(place: Place) -> None:
    granted, other = place.grant(), place.grant()
    with place.client(granted) as client:
        made = client.files.create(file=lines(line("a")), purpose="batch")
    arrived = len(place.provider.asked)
    with place.client(other) as client:
        for file_id in (made.id, "file-never"):
            for ask in (client.files.retrieve, client.files.delete, client.files.content):
                with pytest.raises(openai.NotFoundError):
                    ask(file_id)
            with pytest.raises(openai.NotFoundError):
                client.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")
        assert len(place.provider.asked) == arrived
        assert list(client.files.list()) == []


def test_a_batch_is_held_at_the_price_of_batches_and_settled_by_its_output(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        batch_id = place.begin(client, line("a"), line("b", max_tokens=50))
        settled, held = place.figures(granted)
        # Twice 100 tokens at $0.30, and a few hundred bytes at $0.075 a million.
        assert settled == 0
        assert 60 < held < 160
        place.kept.end_batch(batch_id, completion(used=usage(100, 50)), completion(used=usage(200, 50)))
        ended = client.batches.retrieve(batch_id)
        assert ended.output_file_id is not None
        assert client.files.content(ended.output_file_id).text.count("custom_id") == 2
    # 300 tokens at $0.075 and 100 at $0.30 a million, rounded up.
    assert place.settled(granted) == 53


def test_the_settlement_is_the_sum_of_what_the_lines_used(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        long = [{"role": "user", "content": "x" * 10_000}]
        batch_id = place.begin(client, line("a", messages=long), line("b", messages=long), line("c"))
        place.kept.end_batch(batch_id, completion(used=usage(1_000, 100)), completion(used=usage(3_000, 50)), None)
        client.batches.retrieve(batch_id)
    assert place.settled(granted) == 345
    assert "OK" in place.installation.broker("ledger", "verify")


def test_a_batch_of_responses(place: Place) -> None:
    granted = place.grant()
    asked = {"model": "gpt-4o-mini", "input": "Hello" * 1_000, "max_output_tokens": 50}
    each = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": asked}
    with place.client(granted) as client:
        batch_id = place.begin(client, each, url="/v1/responses")
        (sent,) = place.kept.files[place.kept.batches[batch_id]["input_file_id"]].splitlines()
        assert json.loads(sent)["body"] == asked | {"store": False}
        place.kept.end_batch(batch_id, response(input_tokens=2_000, output_tokens=10))
        client.batches.retrieve(batch_id)
    # 2,000 tokens at $0.075 and 10 at $0.30 a million.
    assert place.settled(granted) == 153


def test_each_line_is_sent_with_an_output_maximum(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        asked = line("a")
        del asked["body"]["max_tokens"]
        made = client.files.create(file=lines(asked, line("b", max_completion_tokens=30)), purpose="batch")
    sent = [json.loads(each)["body"] for each in place.kept.files[made.id].splitlines()]
    assert [(each["max_completion_tokens"], "service_tier" in each) for each in sent] == [(16_384, False), (30, False)]


def test_lists_show_the_grants_own(place: Place) -> None:
    granted, other = place.grant(), place.grant()
    with place.client(granted) as client:
        made = [place.begin(client, line("a")) for _ in range(2)]
        assert [batch.id for batch in client.batches.list()] == made[::-1]
        assert client.batches.cancel(made[0]).status == "cancelling"
    with place.client(other) as client:
        assert list(client.batches.list()) == []
        for ask in (client.batches.retrieve, client.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(made[0])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([line("a"), line("b", model="gpt-4o")], "not_boundable"),
        ([line("a", url="/v1/images/generations")], "not_boundable"),
        ([line("a", web_search_options={})], "not_boundable"),
        ([line("a", stream=True)], "invalid_request"),
        ([line("a", n=0)], "invalid_request"),
        ([line("a") | {"method": "GET"}], "invalid_request"),
        ([line("a") | {"more": 1}], "not_boundable"),
        ([line("a") | {"body": []}], "invalid_request"),
        (
            [{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-4o-mini", "input": "x", "store": True}}],
            "not_boundable",
        ),
        (
            [{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-4o-mini", "input": "x", "tools": [{"type": "web_search"}], "max_tool_calls": 0}}],
            "not_boundable",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_line_that_is_not_allowed_refuses_the_file(place: Place, asked: list[dict[str, Any]], code: str) -> None:
    granted = place.grant(models=["gpt-4o-mini", "gpt-4o"])
    arrived = len(place.provider.asked)
    with place.client(granted) as client, pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=lines(*asked), purpose="batch")
    assert refused.value.code == code
    assert len(place.provider.asked) == arrived


def test_the_batch_is_judged_when_it_is_made(place: Place) -> None:
    granted = place.grant(models=["gpt-4o"])
    small = place.grant(max_output_tokens=50)
    poor, plain = place.grant(budget=dollars(50)), place.grant(actions=["chat", "files"])
    expected = [(granted, 403, "model_not_granted"), (small, 403, "not_boundable")]
    expected += [(poor, 402, "budget_exhausted"), (plain, 403, "action_not_granted")]
    for each, status, code in expected:
        with place.client(each) as client:
            file = client.files.create(file=lines(line("a"), line("b")), purpose="batch")
            arrived = len(place.provider.asked)
            with pytest.raises(openai.APIStatusError) as refused:
                client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        assert (refused.value.status_code, refused.value.code) == (status, code)
        assert len(place.provider.asked) == arrived
        assert place.settled(each) == 0


def test_a_file_of_another_kind_is_no_batch_and_other_purposes_are_not_known(place: Place) -> None:
    granted = place.grant()
    with place.client(granted) as client:
        file = client.files.create(file=("notes.txt", b"Some notes."), purpose="user_data")
        with pytest.raises(openai.BadRequestError):
            client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        batch_file = client.files.create(file=lines(line("a")), purpose="batch")
        with pytest.raises(openai.BadRequestError):
            client.batches.create(input_file_id=batch_file.id, endpoint="/v1/responses", completion_window="24h")
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.files.create(file=("notes.txt", b"x"), purpose="fine-tune")
    assert refused.value.code == "not_boundable"
