"""A chat request in the OpenAI dialect, read as strictly as a provider reads it."""

import json
from dataclasses import dataclass
from typing import Any

from broker.demo.answers import answer
from broker.demo.tokens import count_prompt, split_tokens

MODELS = ("sandbox-chat", "sandbox-chat-large")
ROLES = ("system", "developer", "user", "assistant", "tool")
MOST_OUTPUT = 16_384
MOST_CHOICES = 16


class BadRequest(Exception):
    """A request that the sandbox refuses, as the dialect tells it."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.status, self.code = message, param, status, code

    def body(self) -> dict[str, Any]:
        return {
            "error": {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        }


@dataclass(frozen=True, slots=True)
class Chat:
    model: str
    texts: list[str]
    reply: list[str]
    """The tokens of the answer, cut at the maximum asked for."""
    finish_reason: str
    choices: int
    stream: bool
    include_usage: bool

    def usage(self) -> dict[str, Any]:
        read, written = count_prompt(self.texts), len(self.reply) * self.choices
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def parse_chat(raw: bytes) -> Chat:
    body = _object(raw)
    model = body.get("model")
    if not isinstance(model, str):
        raise BadRequest("you must provide a model parameter", "model")
    if model not in MODELS:
        raise BadRequest(f"The model `{model}` does not exist.", status=404, code="model_not_found")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be an array with at least one message.", "messages")
    spoken = [_message(message, f"messages[{at}]") for at, message in enumerate(messages)]
    asked = [text for role, text in spoken if role == "user"]
    limit = min(_whole(body, name, MOST_OUTPUT, MOST_OUTPUT) for name in ("max_tokens", "max_completion_tokens"))
    tokens = split_tokens(answer(asked[-1] if asked else "", len(asked)))
    stream, include_usage = _stream(body)
    return Chat(
        model=model,
        texts=[text for _, text in spoken] + _tools(body),
        reply=tokens[:limit],
        finish_reason="stop" if len(tokens) <= limit else "length",
        choices=_whole(body, "n", 1, None, MOST_CHOICES),
        stream=stream,
        include_usage=include_usage,
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body of your request must be a JSON object.")
    return body


def _message(message: object, where: str) -> tuple[str, str]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise BadRequest(f"'{where}.role' must be one of {', '.join(ROLES)}.", f"{where}.role")
    content = message.get("content")
    if content is None and message["role"] == "assistant":
        return "assistant", ""
    if isinstance(content, str):
        return message["role"], content
    if not isinstance(content, list) or not content:
        raise BadRequest(f"'{where}.content' must be a string or an array of parts.", f"{where}.content")
    return message["role"], "\n".join(_part(part, f"{where}.content[{at}]") for at, part in enumerate(content))


def _part(part: object, where: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise BadRequest(f"'{where}' must be a text part: the sandbox reads nothing else.", where)


def _tools(body: dict[str, Any]) -> list[str]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise BadRequest("'tools' must be an array.", "tools")
    return [json.dumps(tool, separators=(",", ":"), ensure_ascii=False) for tool in tools]


def _whole(body: dict[str, Any], name: str, default: int, lower_to: int | None, most: int | None = None) -> int:
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or value < 1 or (most is not None and value > most):
        raise BadRequest(f"'{name}' must be a whole number, at least 1{f' and at most {most}' if most else ''}.", name)
    return value if lower_to is None else min(value, lower_to)


def _stream(body: dict[str, Any]) -> tuple[bool, bool]:
    stream, options = body.get("stream") or False, body.get("stream_options")
    if not isinstance(stream, bool):
        raise BadRequest("'stream' must be true or false.", "stream")
    if options is None:
        return stream, False
    if not stream or not isinstance(options, dict):
        raise BadRequest("'stream_options' is an object, only allowed when 'stream' is true.", "stream_options")
    include = options.get("include_usage") or False
    if not isinstance(include, bool):
        raise BadRequest("'stream_options.include_usage' must be true or false.", "stream_options.include_usage")
    return stream, include
