"""A provider on loopback that speaks the OpenAI dialect, JSON and SSE, with true usage and no intelligence."""

import asyncio
import hmac
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.demo.chat import MODELS, BadRequest, Chat, parse_chat
from broker.demo.serving import serve_from_command_line

KEYS_VARIABLE = "SANDBOX_KEYS"
DELAY_VARIABLE = "SANDBOX_TOKEN_SECONDS"
CREATED = 1_760_000_000


def make_sandbox(
    keys: frozenset[str], *, token_seconds: float = 0.03, now: Callable[[], float] = time.time
) -> Starlette:
    """The provider as an ASGI app; a stream waits `token_seconds` before each of its tokens."""
    sandbox = Sandbox(keys, token_seconds, now)
    routes = [
        Route("/v1/chat/completions", sandbox.chat, methods=["POST"]),
        Route("/v1/models", sandbox.models, methods=["GET"]),
        Route("/v1/models/{model}", sandbox.model, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={BadRequest: _refuse, 404: _no_such_path, 405: _no_such_path})


class Sandbox:
    def __init__(self, keys: frozenset[str], token_seconds: float, now: Callable[[], float]) -> None:
        self._keys = keys
        self._token_seconds = token_seconds
        self._now = now

    async def chat(self, request: Request) -> Response:
        self._check_key(request)
        raw = await request.body()
        chat = parse_chat(raw)
        head = {"id": f"chatcmpl-{sha256(raw).hexdigest()[:24]}", "created": int(self._now()), "model": chat.model}
        if chat.stream:
            return StreamingResponse(self._stream(chat, head), media_type="text/event-stream")
        return JSONResponse(_completion(chat, head), headers={"x-request-id": f"req_{head['id']}"})

    async def models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [_model(name) for name in MODELS]})

    async def model(self, request: Request) -> Response:
        self._check_key(request)
        name = request.path_params["model"]
        if name not in MODELS:
            raise BadRequest(f"The model `{name}` does not exist.", "model", status=404, code="model_not_found")
        return JSONResponse(_model(name))

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not key or scheme.lower() != "bearer":
            raise BadRequest("You did not provide an API key.", status=401)
        if not any(hmac.compare_digest(key.encode(), known.encode()) for known in self._keys):
            raise BadRequest("Incorrect API key provided.", status=401, code="invalid_api_key")

    async def _stream(self, chat: Chat, head: dict[str, Any]) -> AsyncIterator[bytes]:
        base = {**head, "object": "chat.completion.chunk", **({"usage": None} if chat.include_usage else {})}
        every = range(chat.choices)
        for index in every:
            yield _event({**base, "choices": [_delta(index, {"role": "assistant", "content": ""})]})
        for token in chat.reply:
            await asyncio.sleep(self._token_seconds)
            for index in every:
                yield _event({**base, "choices": [_delta(index, {"content": token})]})
        for index in every:
            yield _event({**base, "choices": [_delta(index, {}, chat.finish_reason)]})
        if chat.include_usage:
            yield _event({**base, "choices": [], "usage": chat.usage()})
        yield b"data: [DONE]\n\n"


def _completion(chat: Chat, head: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(chat.reply), "refusal": None}
    return {
        **head,
        "object": "chat.completion",
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": chat.finish_reason}
            for index in range(chat.choices)
        ],
        "usage": chat.usage(),
    }


def _delta(index: int, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "sandbox"}


async def _refuse(request: Request, refusal: Exception) -> Response:
    bad = cast("BadRequest", refusal)
    return JSONResponse(bad.body(), bad.status)


async def _no_such_path(request: Request, refusal: Exception) -> Response:
    unknown = BadRequest(
        f"Invalid URL ({request.method} {request.url.path})", status=getattr(refusal, "status_code", 404)
    )
    return JSONResponse(unknown.body(), unknown.status)


def main() -> None:
    keys = frozenset(key for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key)
    serve_from_command_line(make_sandbox(keys, token_seconds=float(os.environ.get(DELAY_VARIABLE, "0.03"))))


if __name__ == "__main__":
    main()
