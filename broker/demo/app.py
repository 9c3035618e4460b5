"""Demo Notes, an app like any other: it connects to a broker, and chats at its user's expense."""

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.demo.granted import in_words
from broker.demo.oauth_client import NotConnected, OAuthClient, Registration, Tokens
from broker.demo.serving import serve_from_command_line
from broker.demo.visits import Visit, Visits

PAGES = Path(__file__).parent / "pages"
MOST_BODY = 65_536
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
ASKED: list[dict[str, Any]] = [
    {
        "type": "ai_model_access",
        "provider": "sandbox",
        "models": ["sandbox-chat"],
        "actions": ["chat"],
        "budget": {"amount": "5.00", "currency": "USD"},
        "max_requests": 200,
        "rate_limit": {"requests_per_minute": 30},
        "expires_in": 7 * 24 * 3600,
        "purpose": "Chat with you on the demo page.",
    }
]


class DemoApp:
    def __init__(self, http: httpx.AsyncClient, registration: Registration, now: Callable[[], float]) -> None:
        self._http = http
        self._issuer = registration.issuer
        self._oauth = OAuthClient(http, registration)
        self._now = now
        self._visits = Visits()
        self._pages = Environment(
            loader=FileSystemLoader(PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def index(self, request: Request) -> Response:
        visit = self._visits.of(request) or Visit()
        problem, visit.problem = visit.problem, ""
        granted = [in_words(access) for access in visit.tokens.details] if visit.tokens else []
        page = self._pages.get_template("index.html")
        words = {"connected": visit.tokens is not None, "granted": granted, "problem": problem, "issuer": self._issuer}
        return HTMLResponse(page.render(words), headers=HEADERS)

    async def connect(self, request: Request) -> Response:
        answer = RedirectResponse("/", 303, HEADERS)
        visit = self._visits.open(request, answer)
        try:
            visit.attempt = await self._oauth.begin(ASKED)
        except (NotConnected, httpx.TransportError) as problem:
            visit.problem = _say(problem)
        else:
            answer.headers["location"] = visit.attempt.url
        return answer

    async def callback(self, request: Request) -> Response:
        answer = RedirectResponse("/", 303, HEADERS)
        visit = self._visits.open(request, answer)
        attempt, visit.attempt = visit.attempt, None
        try:
            if attempt is None:
                raise NotConnected("That answer belongs to no attempt of this browser. Press Connect to start again.")
            visit.tokens = await self._oauth.finish(attempt, request.query_params, self._now())
        except (NotConnected, httpx.TransportError) as problem:
            visit.problem = _say(problem)
        return answer

    async def disconnect(self, request: Request) -> Response:
        visit = self._visits.of(request)
        if visit is not None and visit.tokens is not None and _same_origin(request):
            try:
                await self._oauth.revoke(visit.tokens)
                visit.tokens = None
            except (NotConnected, httpx.TransportError) as problem:
                visit.problem = _say(problem)
        return RedirectResponse("/", 303, HEADERS)

    async def chat(self, request: Request) -> Response:
        """Sends the conversation through the broker's proxy, and streams the answer to the page as it comes."""
        visit = self._visits.of(request)
        if visit is None or visit.tokens is None:
            return _problem(401, "Press Connect first.")
        messages = _messages(await request.body()) if _same_origin(request) else None
        if messages is None:
            return _problem(400, "That is no conversation.")
        try:
            if visit.tokens.expires_at < self._now() + 30:
                visit.tokens = await self._oauth.refresh(visit.tokens, self._now())
            answer = await self._http.send(self._call(visit.tokens, messages), stream=True)
        except NotConnected as problem:
            return _problem(401, _say(problem))
        except httpx.TransportError as problem:
            return _problem(502, _say(problem))
        if answer.status_code == 200:
            return StreamingResponse(
                _forward(answer),
                headers=HEADERS,
                media_type="text/event-stream",
                background=BackgroundTask(answer.aclose),
            )
        try:
            return _problem(answer.status_code, _told(await answer.aread()))
        finally:
            await answer.aclose()

    def _call(self, tokens: Tokens, messages: list[dict[str, str]]) -> httpx.Request:
        """The request that an SDK would send, with `{issuer}/proxy/sandbox/v1` as its base address."""
        model = next((name for name in tokens.details[0]["models"] if "*" not in name), "sandbox-chat")
        return self._http.build_request(
            "POST",
            f"{self._issuer}/proxy/sandbox/v1/chat/completions",
            headers={"authorization": f"Bearer {tokens.access_token}"},
            json={"model": model, "messages": messages, "stream": True},
        )


def make_demo_app(
    http: httpx.AsyncClient, registration: Registration, now: Callable[[], float] = time.time
) -> Starlette:
    app = DemoApp(http, registration, now)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", app.index),
            Route("/connect", app.connect),
            Route("/callback", app.callback),
            Route("/disconnect", app.disconnect, methods=["POST"]),
            Route("/chat", app.chat, methods=["POST"]),
            Route("/health", _healthy),
            Route("/favicon.ico", _no_icon),
            Route("/demo.css", _file("demo.css")),
            Route("/demo.js", _file("demo.js")),
        ],
    )


async def _forward(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_bytes():
            yield piece
    except httpx.TransportError as problem:
        yield f"data: {json.dumps({'error': {'message': _say(problem)}})}\n\n".encode()


async def _healthy(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _no_icon(request: Request) -> Response:
    return Response(status_code=204, headers=HEADERS)


def _file(name: str) -> Callable[[Request], Any]:
    async def send(request: Request) -> Response:
        return FileResponse(PAGES / name, headers=HEADERS)

    return send


def _same_origin(request: Request) -> bool:
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _messages(raw: bytes) -> list[dict[str, str]] | None:
    try:
        given = json.loads(raw) if len(raw) <= MOST_BODY else None
        json.dumps(given, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, list) or not given:
        return None
    fit = all(
        isinstance(one, dict) and one.get("role") in ("user", "assistant") and isinstance(one.get("content"), str)
        for one in given
    )
    return [{"role": one["role"], "content": one["content"]} for one in given] if fit else None


def _told(raw: bytes) -> str:
    """The broker's own sentence out of an error answer."""
    try:
        return str(json.loads(raw)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "The broker refused, and did not say why."


def _say(problem: NotConnected | httpx.TransportError) -> str:
    return str(problem) if isinstance(problem, NotConnected) else "The broker does not answer. Is it running?"


def _problem(status: int, sentence: str) -> Response:
    return JSONResponse({"error": {"message": sentence}}, status, HEADERS)


def main() -> None:
    registration = Registration(
        issuer=os.environ["DEMO_ISSUER"],
        client_id=os.environ["DEMO_CLIENT_ID"],
        client_secret=os.environ["DEMO_CLIENT_SECRET"],
        redirect_uri=os.environ["DEMO_REDIRECT_URI"],
    )
    http = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(30, read=120))
    serve_from_command_line(make_demo_app(http, registration))


if __name__ == "__main__":
    main()
