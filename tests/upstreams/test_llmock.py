"""llmock, which breaks on demand and grades its client: what the broker makes of each fault, and what it is graded."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.canary import KEYS
from tests.serve.installation import Granted, Installation, free_port
from tests.serve.running import PATIENCE, Running
from tests.upstreams import programs
from tests.upstreams.ledger import Row, rows

pytestmark = programs.needs_python

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}
TEXT = "Say a few kind words about the weather by the sea"
MESSAGES: Any = [{"role": "user", "content": TEXT}]
FAILURES = (openai.APIError, anthropic.APIError, errors.APIError, json.JSONDecodeError)


@dataclass
class Place:
    server: Running
    mock: str
    granted: dict[str, Granted]

    def next_answer(self, **behavior: Any) -> None:
        """What llmock does with the next request; its journal begins anew."""
        httpx.post(f"{self.mock}/_llmock/reset", trust_env=False, timeout=60).raise_for_status()
        if behavior:
            told = httpx.post(
                f"{self.mock}/_llmock/scenario", json={"behaviors": [behavior]}, trust_env=False, timeout=60
            )
            told.raise_for_status()

    def asked(self) -> list[dict[str, Any]]:
        """What llmock has heard."""
        heard: list[dict[str, Any]] = httpx.get(f"{self.mock}/_llmock/requests", trust_env=False, timeout=60).json()[
            "requests"
        ]
        return heard

    def verdict(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self.mock}/_llmock/verdict", trust_env=False, timeout=60).json()
        return told

    def openai(self, retries: int = 0) -> openai.OpenAI:
        base = f"{self.server.address}/proxy/openai/v1"
        return openai.OpenAI(base_url=base, api_key=self.granted["openai"].token, max_retries=retries, timeout=PATIENCE)

    def anthropic(self, retries: int = 0) -> anthropic.Anthropic:
        base = f"{self.server.address}/proxy/anthropic"
        return anthropic.Anthropic(
            base_url=base, api_key=self.granted["anthropic"].token, max_retries=retries, timeout=PATIENCE
        )

    def google(self) -> genai.Client:
        base = f"{self.server.address}/proxy/google"
        options = types.HttpOptions(base_url=base, api_version="v1beta", timeout=int(PATIENCE * 1_000))
        return genai.Client(api_key=self.granted["google"].token, http_options=options)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("llmock"), free_port()
    with programs.started(programs.llmock(port), port, folder) as mock:
        bases = {"openai": mock, "anthropic": f"{mock}/anthropic", "google": f"{mock}/gemini"}
        settings = {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": base for name, base in bases.items()}
        installation = Installation(folder, settings | {"BROKER_UPSTREAM_SILENCE_SECONDS": "1"})
        installation.furnish()
        for name in ("anthropic", "google"):
            words = ("--provider", name, "--user", "ana@example.com", "--no-check")
            installation.broker("key", "add", *words, stdin=KEYS[name] + "\n")
        granted = {name: installation.grant(provider=name, models=[model]) for name, model in MODELS.items()}
        with installation.serving() as server:
            yield Place(server, mock, granted)


def chat(place: Place) -> str:
    with place.openai() as client:
        answered = client.chat.completions.create(model=MODELS["openai"], messages=MESSAGES, max_tokens=50)
    return answered.choices[0].message.content or ""


def chat_stream(place: Place) -> str:
    with place.openai() as client:
        stream = client.chat.completions.create(model=MODELS["openai"], messages=MESSAGES, max_tokens=50, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def response(place: Place) -> str:
    with place.openai() as client:
        return client.responses.create(model=MODELS["openai"], input=TEXT, max_output_tokens=50).output_text


def response_stream(place: Place) -> str:
    with place.openai() as client:
        stream = client.responses.create(model=MODELS["openai"], input=TEXT, max_output_tokens=50, stream=True)
        return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def message(place: Place) -> str:
    with place.anthropic() as client:
        answered = client.messages.create(model=MODELS["anthropic"], messages=MESSAGES, max_tokens=50)
    return "".join(block.text for block in answered.content if block.type == "text")


def message_stream(place: Place) -> str:
    with (
        place.anthropic() as client,
        client.messages.stream(model=MODELS["anthropic"], messages=MESSAGES, max_tokens=50) as stream,
    ):
        return "".join(stream.text_stream)


def content(place: Place) -> str:
    with place.google() as client:
        return client.models.generate_content(model=MODELS["google"], contents=TEXT).text or ""


def content_stream(place: Place) -> str:
    with place.google() as client:
        chunks = client.models.generate_content_stream(model=MODELS["google"], contents=TEXT)
        return "".join(chunk.text or "" for chunk in chunks)


Call = Callable[[Place], str]
WHOLE: dict[str, Call] = {"chat": chat, "response": response, "message": message, "content": content}
STREAMS: dict[str, Call] = {
    "chat": chat_stream,
    "response": response_stream,
    "message": message_stream,
    "content": content_stream,
}


def ended(place: Place, before: int) -> Row:
    [row] = rows(place.server)[before:]
    return row


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_and_its_stream_are_settled_at_what_llmock_counted(place: Place, name: str) -> None:
    place.next_answer()
    before = len(rows(place.server))
    texts = [WHOLE[name](place), STREAMS[name](place)]
    booked = rows(place.server)[before:]
    assert texts[0] == texts[1] != ""
    assert {(row.mark, row.status) for row in booked} == {("reported", 200)}
    # A library may hang up at the last event of a stream, before its end.
    assert [row.outcome for row in booked if row.outcome != "client_left"] in (["ok"], ["ok", "ok"])
    assert all(row.input_tokens and row.output_tokens and 0 < row.cost <= row.hold for row in booked)
    assert len({(row.input_tokens, row.output_tokens) for row in booked}) == 1


DID_NOT_RUN = (400, 403, 404, 409, 413, 422, 429, 500, 503, 529)


@pytest.mark.parametrize("calls", [WHOLE, STREAMS], ids=["whole", "stream"])
@pytest.mark.parametrize("name", WHOLE)
def test_an_error_passes_as_it_came_is_asked_for_once_and_costs_nothing(
    place: Place, name: str, calls: dict[str, Call]
) -> None:
    for status in DID_NOT_RUN:
        place.next_answer(type="fail", status=status)
        before = len(rows(place.server))
        with pytest.raises(FAILURES) as failed:
            calls[name](place)
        assert getattr(failed.value, "status_code", getattr(failed.value, "code", None)) == status
        row = ended(place, before)
        assert (row.mark, row.cost, row.status) == ("not_run", 0, status)
        assert len(place.asked()) == 1


@pytest.mark.parametrize("name", WHOLE)
def test_a_refused_key_is_the_brokers_own_trouble_and_costs_nothing(place: Place, name: str) -> None:
    place.next_answer(type="fail", status=401)
    before = len(rows(place.server))
    with pytest.raises(FAILURES) as failed:
        WHOLE[name](place)
    assert getattr(failed.value, "status_code", getattr(failed.value, "code", None)) == 503
    row = ended(place, before)
    assert (row.mark, row.cost, row.status) == ("not_run", 0, 401)


@pytest.mark.parametrize("name", WHOLE)
def test_an_error_of_something_in_between_takes_the_bound(place: Place, name: str) -> None:
    """A gateway's 502 or 504 does not say whether the provider worked."""
    for status in (502, 504):
        place.next_answer(type="fail", status=status)
        before = len(rows(place.server))
        with pytest.raises(FAILURES):
            WHOLE[name](place)
        row = ended(place, before)
        assert (row.mark, row.cost) == ("estimated", row.hold)
        assert len(place.asked()) == 1


def test_how_long_to_wait_is_passed_on_in_seconds(place: Place) -> None:
    place.next_answer(type="fail", status=429, retry_after=7)
    with pytest.raises(openai.RateLimitError) as failed:
        chat(place)
    assert failed.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_does_not_come_to_its_end_is_no_answer_and_takes_the_bound(
    place: Place, name: str, kind: str
) -> None:
    place.next_answer(type="stream_fault", kind=kind, after_chunks=2, stall_seconds=20)
    before = len(rows(place.server))
    with pytest.raises(FAILURES):
        STREAMS[name](place)
    row = ended(place, before)
    assert (row.mark, row.cost, row.status) == ("estimated", row.hold, 200)
    assert row.outcome == ("timed_out" if kind == "stall" else "broken")


@pytest.mark.parametrize("name", STREAMS)
def test_a_chunk_that_is_no_json_passes_and_the_usage_behind_it_counts(place: Place, name: str) -> None:
    place.next_answer(type="stream_fault", kind="malformed", after_chunks=2)
    before = len(rows(place.server))
    with suppress(*FAILURES, ValueError):  # an SDK that reads each chunk says so, and hangs up
        STREAMS[name](place)
    row = ended(place, before)
    assert row.mark == "reported"
    assert 0 < row.cost <= row.hold


def patient_chat(place: Place) -> str:
    with place.openai(retries=2) as client:
        for _ in range(3):
            with suppress(openai.APIError):
                stream = client.chat.completions.create(model=MODELS["openai"], messages=MESSAGES, stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    return ""


@pytest.mark.parametrize("fault", ["429", "503", "disconnect", "truncate"])
def test_llmock_finds_no_fault_with_an_app_that_tries_again_through_the_broker(place: Place, fault: str) -> None:
    """The official SDK waits and tries again by itself; a broken stream it must be told of, and llmock sees whether it was."""
    if fault.isdigit():
        place.next_answer(type="fail", status=int(fault), retry_after=1)
    else:
        place.next_answer(type="stream_fault", kind=fault, after_chunks=2)
    assert patient_chat(place) != ""
    verdict = place.verdict()
    assert (verdict["passed"], verdict["findings"], verdict["faults_injected"]) == (True, [], 1)
    assert verdict["attempts"] == 2
