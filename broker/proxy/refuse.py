"""A refusal as the app gets it: one status a code, in the dialect's own shape."""

from collections.abc import Sequence

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.providers.client import Headers
from broker.providers.dialect import Dialect
from broker.proxy.authenticate import NoToken
from broker.proxy.proven import NotProven

STATUS = {
    "invalid_token": 401,
    "provider_not_granted": 403,
    "model_not_granted": 403,
    "action_not_granted": 403,
    "grant_paused": 403,
    "grant_frozen": 403,
    "no_price": 403,
    "not_boundable": 403,
    "budget_exhausted": 402,
    "requests_exhausted": 402,
    "rate_limited": 429,
    "too_many_concurrent": 429,
    "in_progress": 409,
    "already_ran": 409,
    "idempotency_mismatch": 422,
    "not_found": 404,
    "method_not_allowed": 405,
    "invalid_request": 400,
    "too_large": 413,
    "unsupported_media_type": 415,
    "provider_key_unavailable": 503,
    "provider_error": 502,
    "provider_timeout": 504,
    "unavailable": 503,
}


class NotAllowed(CallRefused):
    """A path that is there, asked by another method."""

    def __init__(self, methods: Sequence[str]) -> None:
        super().__init__("method_not_allowed", f"This path takes {' or '.join(methods)} only.")
        self.methods = methods


def not_found() -> CallRefused:
    return CallRefused("not_found", "There is nothing at this path.")


_LIMITS = {"budget_exhausted": "budget", "requests_exhausted": "requests"}
_RAISED = frozenset(["budget", "requests", "key"])
"""What the owner of a grant can raise: its own limits, and theirs on a key of their own."""
_NOT_WORTH_RETRYING = frozenset(["grant_paused", "grant_frozen", "already_ran"])
_INSUFFICIENT = frozenset(["provider_not_granted", "model_not_granted", "action_not_granted"])


class Refuser:
    """Answers for one resource; the metadata address is where a client without a token learns who gives tokens."""

    def __init__(self, issuer: str, proof_algorithms: Sequence[str]) -> None:
        self._issuer = issuer
        self._algorithms = " ".join(proof_algorithms)
        self._metadata = f"{issuer}/.well-known/oauth-protected-resource/proxy"

    def answer(self, refusal: CallRefused, dialect: Dialect, *, bound: bool = False) -> tuple[int, Headers, bytes]:
        """`bound` is whether the token that was shown is bound to a key: its challenge is for that scheme (RFC 9449 §7.1)."""
        status = STATUS[refusal.code]
        headers: Headers = [(b"content-type", b"application/json")]
        if status == 401:
            headers += self._challenges(refusal)
        if refusal.code in _INSUFFICIENT:
            headers.append(self._challenge("DPoP" if bound else "Bearer", "insufficient_scope"))
        if refusal.code in _NOT_WORTH_RETRYING:
            headers.append((b"x-should-retry", b"false"))
        if isinstance(refusal, NotAllowed):
            # RFC 9110 §15.5.6: "MUST generate an Allow header field".
            headers.append((b"allow", ", ".join(refusal.methods).encode()))
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        return status, headers, dialect.error(refusal, status)

    def with_manage_url(self, refusal: CallRefused, grant_id: str) -> CallRefused:
        """A used-up limit says where its owner can raise it, if they can; opening the page grants nothing."""
        limit = refusal.extra.get("limit", _LIMITS.get(refusal.code))
        if limit in _RAISED:
            page = f"{self._issuer}/grants/{grant_id}/limits?raise={limit}"
            refusal.extra = refusal.extra | {"manage_url": page}
        return refusal

    def _challenges(self, refusal: CallRefused) -> Headers:
        # RFC 6750 §3.1: without any authentication information the answer "SHOULD NOT include an error code".
        if isinstance(refusal, NoToken):
            return [self._challenge("Bearer", ""), self._challenge("DPoP", "")]
        if isinstance(refusal, NotProven):
            return [self._challenge("DPoP", refusal.error)]
        return [self._challenge("Bearer", "invalid_token")]

    def _challenge(self, scheme: str, error: str) -> tuple[bytes, bytes]:
        said = {"error": error} if error else {}
        said |= {"algs": self._algorithms} if scheme == "DPoP" else {}
        listed = [f'{name}="{value}"' for name, value in (said | {"resource_metadata": self._metadata}).items()]
        return b"www-authenticate", f"{scheme} {', '.join(listed)}".encode()


def refused(error: BrokerError) -> CallRefused:
    """Whatever stopped us before the provider, as a refusal."""
    if isinstance(error, CallRefused):
        return error
    return CallRefused("unavailable", Unavailable.description, retry_after=Unavailable.retry_after, detail=error.detail)
