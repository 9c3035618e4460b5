"""What Google's dialect reads in an answer, and what it says itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.core.extras import Extras
from broker.core.strict_json import dumps, loads
from broker.core.usage import Usage
from broker.providers.google import ChunkMeter, Google
from broker.providers.google_usage import Apart, read_usage
from broker.providers.registry import Provider
from broker.providers.sse import EventSplitter
from tests.fake_google import STREAM, answer, event, usage

OURS = Provider("google", "google", "https://generativelanguage.googleapis.com")


def metered(*said: Any) -> ChunkMeter:
    meter = ChunkMeter()
    assert all(meter.read(event(each)) for each in said)
    return meter


def test_thoughts_are_output_and_what_tools_gave_is_input() -> None:
    assert read_usage(usage()) == (Usage(10, 5), False)
    assert read_usage(usage(toolUsePromptTokenCount=7, cachedContentTokenCount=4)) == (Usage(17, 5, 4), False)
    assert read_usage({"promptTokenCount": 10}) == (Usage(10, 0), False)
    # Two of thoughts, and what the total has beside them.
    assert read_usage(usage(candidatesTokenCount=None)) == (Usage(10, 5), False)
    assert read_usage(usage(candidatesTokenCount=None, totalTokenCount=None)) == (Usage(10, 2), False)


def test_a_usage_that_is_not_there_is_not_absurd() -> None:
    generate = Google().endpoint("POST", "/v1/models/gemini-2.5-flash:generateContent")
    assert generate is not None
    assert read_usage(None) == generate.usage({}) == generate.usage([]) == (None, False)
    assert generate.usage(answer()) == (Usage(10, 5), False)


@pytest.mark.parametrize(
    "changes",
    [
        {"promptTokenCount": -1}, {"promptTokenCount": 0}, {"promptTokenCount": "10"}, {"promptTokenCount": None},
        {"promptTokenCount": True}, {"candidatesTokenCount": -1}, {"candidatesTokenCount": 2**31},
        {"totalTokenCount": -1}, {"totalTokenCount": "15"}, {"promptTokensDetails": {}},
        {"promptTokensDetails": [5]}, {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": -1}]},
        {"promptTokensDetails": [{"modality": "SMELL", "tokenCount": 1}]},
        {"candidatesTokensDetails": [{"modality": ["TEXT"], "tokenCount": 1}]},
        {"trafficType": "ON_DEMAND_PRIORITY"}, {"serviceTier": "priority"}, {"serviceTier": 5},
        {"thoughtsTokenCount": 1.5}, {"cachedContentTokenCount": 11}, {"toolUsePromptTokenCount": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_usage_that_cannot_be_true_is_none(changes: dict[str, Any]) -> None:
    assert read_usage(usage(**changes)) == (None, True)


def details(**kinds: int) -> list[dict[str, Any]]:
    return [{"modality": kind, "tokenCount": count} for kind, count in kinds.items()]


def test_sound_is_apart_and_pictures_that_go_in_are_not() -> None:
    said = usage(promptTokenCount=300, promptTokensDetails=details(TEXT=10, IMAGE=258, AUDIO=32))
    assert read_usage(said) == (Usage(300, 5, extras=Extras(input_audio_tokens=32)), False)
    said = usage(candidatesTokenCount=1_300, totalTokenCount=0, candidatesTokensDetails=details(IMAGE=1_290, TEXT=10))
    assert read_usage(said) == (Usage(10, 1_302, extras=Extras(output_image_tokens=1_290)), False)


def test_what_tools_read_is_of_its_kind_too() -> None:
    said = usage(toolUsePromptTokenCount=40, toolUsePromptTokensDetails=details(AUDIO=40), totalTokenCount=0)
    assert read_usage(said) == (Usage(50, 5, extras=Extras(input_audio_tokens=40)), False)


def test_what_no_detail_is_told_of_is_of_the_dearest_kind_that_it_may_be_of() -> None:
    said = usage(promptTokenCount=100, promptTokensDetails=details(TEXT=60, AUDIO=30))
    assert read_usage(said)[0] == Usage(100, 5, extras=Extras(input_audio_tokens=30))
    assert read_usage(said, Apart(hears=True))[0] == Usage(100, 5, extras=Extras(input_audio_tokens=40))
    assert read_usage(usage(), Apart(hears=True))[0] == Usage(10, 5, extras=Extras(input_audio_tokens=10))
    assert read_usage(usage(), Apart(draws=True))[0] == Usage(10, 5, extras=Extras(output_image_tokens=3))
    beside = usage(candidatesTokenCount=None, thoughtsTokenCount=None)
    assert read_usage(beside, Apart(draws=True))[0] == Usage(10, 5, extras=Extras(output_image_tokens=5))


def test_of_counts_that_contradict_each_other_the_dearer_is_believed() -> None:
    assert read_usage(usage(promptTokensDetails=details(TEXT=11)))[0] == Usage(11, 5)
    assert read_usage(usage(candidatesTokensDetails=details(TEXT=4)))[0] == Usage(10, 6)
    assert read_usage(usage(totalTokenCount=20))[0] == Usage(10, 10)
    cached = usage(cachedContentTokenCount=8, cacheTokensDetails=details(TEXT=6))
    assert read_usage(cached)[0] == Usage(10, 5, 6)
    cached = usage(cachedContentTokenCount=6, cacheTokensDetails=details(TEXT=8))
    assert read_usage(cached)[0] == Usage(10, 5, 6)


def test_where_it_is_not_said_what_the_cache_had_it_had_text_since_that_saves_less() -> None:
    said = usage(promptTokenCount=100, promptTokensDetails=details(TEXT=60, AUDIO=40), cachedContentTokenCount=70)
    extras = Extras(input_audio_tokens=40, cached_audio_tokens=10)
    assert read_usage(said)[0] == Usage(100, 5, 70, extras=extras)
    told = said | {"cacheTokensDetails": details(AUDIO=40, TEXT=30)}
    assert read_usage(told)[0] == Usage(100, 5, 70, extras=extras._replace(cached_audio_tokens=40))


@pytest.mark.parametrize("said", [[], 5, "20", False])
def test_a_usage_that_is_no_object_is_absurd(said: Any) -> None:
    assert read_usage(said) == (None, True)


def test_a_stream_is_complete_when_the_model_says_why_it_stopped() -> None:
    seen = metered(*STREAM).seen
    assert (seen.is_complete, seen.usage, seen.failed) == (True, Usage(10, 5), False)


def test_a_stream_that_was_cut_has_no_usage_yet_although_each_chunk_counts() -> None:
    seen = metered(*STREAM[:-1]).seen
    assert (seen.is_complete, seen.usage) == (False, None)


def test_a_usage_that_comes_after_the_end_is_taken() -> None:
    last = {"usageMetadata": usage(promptTokenCount=12)}
    assert metered(*STREAM, last).seen.usage == Usage(12, 5)


def test_a_usage_that_takes_back_what_was_counted_is_not() -> None:
    assert metered(*STREAM, {"usageMetadata": usage(promptTokenCount=1)}).seen.usage == Usage(10, 5)
    assert metered(*STREAM, {"usageMetadata": usage(thoughtsTokenCount=0, totalTokenCount=13)}).seen.usage == Usage(
        10, 5
    )
    absurd = metered(*STREAM, {"usageMetadata": usage(promptTokenCount=-1)}).seen
    assert (absurd.usage, absurd.is_absurd) == (None, True)


def test_a_tier_is_known_however_it_is_spelt() -> None:
    for tier in ("STANDARD", "standard", "Flex", None):
        assert read_usage(usage(serviceTier=tier)) == (Usage(10, 5), False)


def test_a_prompt_that_was_blocked_is_a_whole_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 10}}
    seen = metered(blocked).seen
    assert (seen.is_complete, seen.usage) == (True, Usage(10, 0))


def test_an_error_in_a_stream_is_seen() -> None:
    assert metered({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}).seen.failed


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"finishReason" broken\n\n',
        b'data: ["finishReason"]\n\n',
        b'data: {"candidates":[],"x":"finishReason"}\n\n',
        b'data: {"candidates":[5],"x":"finishReason"}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"text":"\\"finishReason\\""}]}}]}\n\n',
        b'data: {"error":"x"}\n\n',
    ],
)
def test_other_events_pass_and_count_for_nothing(raw: bytes) -> None:
    meter = ChunkMeter()
    assert meter.read(raw)
    assert meter.seen == ChunkMeter().seen


@given(st.data())
def test_the_usage_is_the_same_wherever_the_stream_is_cut(data: st.DataObject) -> None:
    whole = b"".join(event(said) for said in STREAM)
    meter, splitter, start = ChunkMeter(), EventSplitter(), 0
    while start < len(whole):
        size = data.draw(st.integers(1, 80))
        for each in splitter.feed(whole[start : start + size]):
            meter.read(each)
        start += size
    assert (meter.seen.is_complete, meter.seen.usage) == (True, Usage(10, 5))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (402, "FAILED_PRECONDITION"), (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"), (405, "NOT_FOUND"), (413, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"),
        (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "UNAVAILABLE"),
    ],
)  # fmt: skip
def test_a_refusal_has_googles_shape(status: int, kind: str) -> None:
    refusal = CallRefused("budget_exhausted", "Nothing is left.", extra={"remaining": 5})
    said = loads(Google().error(refusal, status))
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "budget_exhausted",
        "domain": "broker",
    }
    error = {"code": status, "message": "Nothing is left.", "status": kind, "details": [info], "remaining": 5}
    assert said == {"error": error}
    assert ChunkMeter().ending(dumps(said)) == b"data: " + dumps(said) + b"\n\n"


@pytest.mark.parametrize(
    ("said", "is_error"),
    [
        ({"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}, True),
        ({"error": {"message": "x"}}, False),
        ({"error": "x"}, False),
        ([], False),
        (None, False),
    ],
)
def test_an_error_of_the_providers_own_is_known_by_its_shape(said: Any, is_error: bool) -> None:
    assert Google().is_error(said) is is_error


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/gemini-2.5-flash:generateContent", "/v1/models/gemini-2.5-flash:generateContent",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent", "/v1/models/gemini-2.5-flash:countTokens",
        "/v1/models/gemini-2.5-flash:batchGenerateContent", "/v1beta/batches/b-1:cancel",
    ],
)  # fmt: skip
def test_its_paths_name_the_model(path: str) -> None:
    assert Google().endpoint("POST", path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/..:generateContent", "/v1beta/models/a/b:generateContent", "/v2/models/a:generateContent",
        "/v1beta/models/a:asyncBatchEmbedContent", "/v1beta/models/:generateContent", "/v1beta/models/a",
        "/v1beta/batches", "/v1beta/batches/a:delete", "/v1beta/batches/a/b:cancel", "/v1/batches/:cancel",
        "/v1beta/tunedModels/a:generateContent", "/v1beta/files", "/upload/v2/files", "/upload/v1/files/f", "/v1/files/a:download", "/v1/models/a:predict",
        "/v1beta/models/a:generateContent:generateContent", "/v1/chat/completions",
    ],
)  # fmt: skip
def test_only_its_own_paths_are_endpoints(path: str) -> None:
    assert Google().endpoint("POST", path) is None


def test_of_a_query_only_the_form_of_a_stream_crosses() -> None:
    assert Google().query(b"key=secret&alt=sse") == "?alt=sse"
    for query in (b"", b"alt=json", b"alt=sse&alt=json", b"x=alt%3Dsse"):
        assert Google().query(query) == ""


def test_the_list_of_models_has_googles_shape() -> None:
    listed = loads(Google().listing(["gemini-2.5-flash"], OURS))
    assert isinstance(listed, dict)
    assert isinstance(listed["models"], list)
    assert listed["models"][0]["name"] == "models/gemini-2.5-flash"  # type: ignore[index, call-overload]
    assert Google().is_listing("/v1/models")
    assert Google().is_listing("/v1beta/models")
