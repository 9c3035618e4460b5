"""Tokens that are bound to a key: worth nothing without a proof, made for this very request, that one holds it (RFC 9449 §7)."""

from collections.abc import Sequence
from typing import Protocol

from starlette.types import Message, Scope, Send

from broker.core.errors import CallRefused, OAuthError
from broker.ledger.judge import invalid_token
from broker.ops.log import logger
from broker.providers.client import Headers
from broker.proxy.authenticate import Principal, UnverifiedToken

log = logger("proxy")

NONCE = "broker.nonce"
"""Where a request keeps the headers that its answer has besides: a nonce for the next proof."""


class Prover(Protocol):
    """app.py builds it, since the proxy knows no authorization server."""

    @property
    def algorithms(self) -> Sequence[str]:
        """What a proof may be signed with."""

    async def check(self, token: str, jkt: str, shown: Sequence[str], method: str, path: str, *, grant_id: str) -> None:
        """That the proofs shown beside a token are one, by its key and for this request; raises OAuthError."""

    def fresh_nonce(self) -> Headers: ...


class NotProven(CallRefused):
    """`error` is for the challenge; the body is that of any other token that is not right."""

    def __init__(self, error: str, *, detail: str = "") -> None:
        super().__init__("invalid_token", invalid_token().description, detail=detail)
        self.error = error


async def require_proof(principal: Principal, token: UnverifiedToken, prover: Prover, scope: Scope) -> None:
    """Raises NotProven, also where a bound token is shown as one that anybody could show, or the other way round."""
    scope[NONCE] = prover.fresh_nonce()
    if not token.with_proof or not principal.jkt:
        raise NotProven("invalid_token", detail="not shown in the way it was given")
    shown = [value.decode("latin-1") for name, value in scope["headers"] if name == b"dpop"]
    path = scope["raw_path"].decode("latin-1")
    try:
        await prover.check(token.text, principal.jkt, shown, scope["method"], path, grant_id=principal.grant_id)
    except OAuthError as error:
        log.info("proof_refused", error=error.error, detail=error.detail, jti=principal.jti)
        raise NotProven(error.error, detail=error.detail) from error


def giving(send: Send, headers: Headers) -> Send:
    """Sends with these headers besides."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_more
