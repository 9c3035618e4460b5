"""What a provider offers besides calls that have a bound: whoever is granted everything still reaches none of it."""

from collections.abc import Iterator

import pytest

from broker.proxy.pipeline import DIALECTS
from tests.attacks.place import Place, attacked

EVERYTHING = {name: ["*"] for name in ("openai", "anthropic", "google", "mistral", "cohere")}
METHODS = ("GET", "POST", "DELETE")

UNLISTED = {
    "openai": """
        /v1/realtime /v1/realtime/client_secrets /v1/realtime/sessions /v1/realtime/calls
        /v1/fine_tuning/jobs /v1/fine_tuning/jobs/ftjob-1 /v1/fine_tuning/jobs/ftjob-1/events
        /v1/fine_tuning/checkpoints/ft-1/permissions /v1/fine_tuning/alpha/graders/run
        /v1/assistants /v1/assistants/asst_1 /v1/threads /v1/threads/runs /v1/threads/thread_1/messages
        /v1/vector_stores /v1/vector_stores/vs_1/search /v1/uploads /v1/uploads/upload_1/parts
        /v1/evals /v1/evals/eval_1/runs /v1/skills /v1/videos /v1/chatkit/sessions
        /v1/organization/admin_api_keys /v1/organization/usage/completions /v1/organization/costs
        /v1/organization/projects /v1/organization/invites /v1/dashboard/billing/usage
    """,
    "anthropic": """
        /v1/complete /v1/completions /v1/chat/completions /v1/responses /v1/embeddings /v1/realtime
        /v1/skills /v1/skills/skill_1/versions /v1/agents /v1/agents/agent_1 /v1/sessions /v1/sessions/ses_1/events
        /v1/environments /v1/vaults /v1/memory_stores /v1/deployments
        /v1/experimental/generate_prompt /v1/experimental/improve_prompt /v1/experimental/templatize_prompt
        /v1/organizations/me /v1/organizations/api_keys /v1/organizations/users /v1/organizations/invites
        /v1/organizations/workspaces /v1/organizations/usage_report/messages /v1/organizations/cost_report
        /v1/organizations/rate_limits /api/oauth/profile /api/organizations
    """,
    "google": """
        /v1beta/cachedContents /v1beta/cachedContents/c1 /v1beta/tunedModels /v1beta/tunedModels/t1:generateContent
        /v1beta/corpora /v1beta/corpora/c1:query /v1beta/fileSearchStores /v1beta/ragStores /v1beta/interactions
        /v1beta/agents /v1beta/auth_tokens /v1beta/operations/op1 /v1beta/generatedFiles
        /v1beta/dynamic/d1:generateContent /v1beta/openai/chat/completions
        /v1beta/models/gemini-2.5-flash:predict /v1beta/models/gemini-2.5-flash:predictLongRunning
        /v1beta/models/gemini-2.5-flash:generateImages /v1beta/models/gemini-2.5-flash:asyncBatchEmbedContent
        /v1beta/models/gemini-2.5-flash:bidiGenerateContent /v1beta/models/gemini-2.5-flash:generateAnswer
        /v1beta/models/gemini-2.5-flash:generateText /v1beta/models/gemini-2.5-flash:generateMessage
        /v1beta/models/gemini-2.5-flash:rawPredict /v1beta/models/gemini-2.5-flash:streamRawPredict
        /v1beta/models/gemini-2.5-flash:createCachedContent /v1alpha/models/gemini-2.5-flash:generateContent
        /v1/projects/p1/locations/l1/publishers/google/models/gemini-2.5-flash:generateContent
        /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent
    """,
    "mistral": """
        /v1/fim/completions /v1/agents/completions /v1/agents /v1/conversations /v1/conversations/c1 /v1/ocr
        /v1/completions /v1/responses /v1/moderations /v1/chat/moderations /v1/classifications /v1/chat/classifications
        /v1/files /v1/files/f1/content /v1/batch/jobs /v1/fine_tuning/jobs /v1/libraries /v1/libraries/l1/documents
        /v1/audio/transcriptions /v1/audio/speech /v1/realtime /v1/connectors /v1/workflows /v1/observability/judges
        /v1/rag/search /v1/documents /v1/guardrails /v1/optimizations /v1/deployments
    """,
    "cohere": """
        /v1/chat /v1/generate /v1/embed /v1/rerank /v1/summarize /v1/classify /v1/tokenize /v1/detokenize
        /v1/check-api-key /v1/datasets /v1/datasets/usage /v1/embed-jobs /v1/embed-jobs/j1 /v1/connectors
        /v1/connectors/c1/oauth/authorize /v1/finetuning/finetuned-models /v1/models/m1 /v2/parse /v2/batches
        /v2/batches/b1 /v2/classify /v2/generate /v2/chat/completions /v2/embed-jobs /v2/audio/transcriptions
        /v2/models /compatibility/v1/chat/completions /compatibility/v1/embeddings /v1/audio/transcriptions
    """,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attacked(tmp_path_factory.mktemp("unlisted"), EVERYTHING) as made:
        yield made


@pytest.mark.parametrize("name", UNLISTED)
def test_these_are_29_that_the_dialects_own_table_does_not_list(name: str) -> None:
    """An endpoint that becomes a call of its dialect has to leave this list."""
    dialect, paths = DIALECTS[name], UNLISTED[name].split()
    assert len(set(paths)) == 29
    assert [path for path in paths if dialect.methods(path) or dialect.is_listing(path)] == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", UNLISTED)
def test_an_endpoint_that_is_not_listed_is_not_there_and_no_byte_leaves(place: Place, name: str, method: str) -> None:
    asked = {"model": "gpt-4o-mini", "input": "Hello"}
    with place.nothing_arrives():
        told = {
            path: place.call(f"/proxy/{name}{path}", asked, method=method, dialect=name)
            for path in UNLISTED[name].split()
        }
    assert {path: said for path, said in told.items() if (said.status, said.code) != (404, "not_found")} == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openai", "/v1/chat/completions"),
        ("openai", "/v1/completions"),
        ("openai", "/v1/embeddings"),
        ("openai", "/v1/moderations"),
        ("anthropic", "/v1/messages"),
        ("anthropic", "/v1/messages/count_tokens"),
        ("google", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("google", "/v1beta/models/gemini-embedding-001:batchEmbedContents"),
        ("mistral", "/v1/chat/completions"),
        ("cohere", "/v2/chat"),
        ("cohere", "/v2/rerank"),
    ],
)
def test_a_call_by_another_method_is_none_and_no_byte_leaves(place: Place, name: str, path: str, method: str) -> None:
    with place.nothing_arrives():
        said = place.call(f"/proxy/{name}{path}", b"", method=method, dialect=name)
    assert said.status == (501 if method == "FOO" else 405)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_an_upgrade_at_the_realtime_endpoint_changes_no_protocol(place: Place, upgrade: str) -> None:
    more = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    lines = (f"Upgrade: {upgrade}", "Connection: Upgrade", *more)
    with place.nothing_arrives():
        said = place.say(place.raw("GET", "/proxy/openai/v1/realtime?model=gpt-4o-mini", b"", *lines))
    assert said.status in (403, 404)
