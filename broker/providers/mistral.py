"""Mistral's dialect: OpenAI's chat and embeddings with fields, parts and errors of its own (docs.mistral.ai/api)."""

from broker.core.errors import CallRefused
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.providers.body import flag_of, not_bounded, shown
from broker.providers.dialect import Body, Endpoint, Meter, Reading
from broker.providers.openai import ChatCompletions, ChatMeter, Embeddings, OpenAI, error_type
from broker.providers.openai_request import Lists, read_chat
from broker.providers.openai_texts import read_embedding
from broker.providers.registry import Provider
from broker.providers.sse import data_of

PROMPT_TOKENS = 4_096
"""More than the prompt that `safe_prompt` or `prompt_mode` put before an app's own; they are published, and a tenth of it."""

_CHAT = Lists(
    harmless=frozenset(
        [
            "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata",
            "response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "min_tokens",
            "repetition_penalty", "top_k", "logprobs", "top_logprobs", "n", "parallel_tool_calls", "reasoning_effort",
            "prompt_mode", "prompt_cache_key", "safe_prompt",
        ]
    ),
    only={"prediction": (None,), "guardrails": (None, []), "prompt_logprobs": (False, None)},
    field_actions={},
    message=frozenset(["role", "content", "name", "tool_calls", "tool_call_id", "prefix"]),
    parts={
        "text": frozenset(["type", "text"]),
        "reference": frozenset(["type", "reference_ids"]),
        "thinking": frozenset(["type", "thinking", "closed", "signature"]),
    },
    part_actions={"image_url": "vision", "document_url": "files", "file": "files", "input_audio": "audio"},
    tool_actions={
        "web_search": "web_search",
        "code_interpreter": "code_execution",
        "image_generation": "images",
        "document_library": "files",
    },
    tools=frozenset(["function"]),
)  # fmt: skip
_EMBEDDINGS = frozenset(["model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format"])


class ErrorMeter(ChatMeter):
    """An error in a stream is that of a whole answer, with no object around it."""

    def read(self, event: bytes) -> bool:
        if not self.seen.is_complete and b'"error"' in event and b'"choices"' not in event:
            self.seen.failed = self.seen.failed or _is_error(event)
        return super().read(event)


def _is_error(event: bytes) -> bool:
    try:
        said = loads(data_of(event))
    except NotStrict:
        return False
    return isinstance(said, dict) and said.get("object") == "error" and "choices" not in said


class Chat(ChatCompletions):
    """POST /v1/chat/completions; the usage of a stream comes unasked, with the last choice."""

    def meter(self, *, wants_usage: bool) -> Meter:
        return ErrorMeter(wants_usage=wants_usage)

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        prompts = flag_of(body, "safe_prompt") + (body.get("prompt_mode") is not None)
        return read_chat(body, size, provider, path, _CHAT, added=prompts * PROMPT_TOKENS)


class Embedding(Embeddings):
    """POST /v1/embeddings."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        unknown = not_bounded(shown(name) for name in body.keys() - _EMBEDDINGS - provider.allow_fields)
        return read_embedding(body, size, provider, path)._replace(unbounded=unknown)


_ENDPOINTS: dict[str, Endpoint] = {"/v1/chat/completions": Chat(), "/v1/embeddings": Embedding()}


class Mistral(OpenAI):
    name = "mistral"

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return _ENDPOINTS.get(path) if method == "POST" else None

    def methods(self, path: str) -> tuple[str, ...]:
        return ("POST",) if path in _ENDPOINTS else ()

    def paths(self) -> tuple[str, ...]:
        return tuple(_ENDPOINTS)

    def model(self, model: str, provider: Provider) -> Body:
        return super().model(model, provider) | {"type": "base", "capabilities": {}}

    def is_error(self, answer: JSONValue) -> bool:
        """An error object, or what its gateway says of a key or a field."""
        if not isinstance(answer, dict) or "choices" in answer:
            return False
        says = isinstance(answer.get("message"), str | dict) and bool(answer.keys() & {"object", "type", "request_id"})
        return says or isinstance(answer.get("detail"), str | list) or super().is_error(answer)

    def error(self, refusal: CallRefused, status: int) -> bytes:
        error: dict[str, object] = {"object": "error", "message": refusal.description, "type": error_type(status)}
        return dumps(error | {"param": None, "code": refusal.code} | refusal.extra)
