"""A refusal as the app gets it: one status a code, in the dialect's own shape."""

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.providers.client import Headers
from broker.providers.dialect import Dialect

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

_NOT_WORTH_RETRYING = frozenset(["grant_paused", "grant_frozen"])
_INSUFFICIENT = frozenset(["provider_not_granted", "model_not_granted", "action_not_granted"])


class Refuser:
    """Answers for one resource; the metadata address is where a client without a token learns who gives tokens."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._metadata = f"{issuer}/.well-known/oauth-protected-resource/proxy"

    def answer(self, refusal: CallRefused, dialect: Dialect, *, no_token: bool = False) -> tuple[int, Headers, bytes]:
        status = STATUS[refusal.code]
        headers: Headers = [(b"content-type", b"application/json")]
        if status == 401:
            headers.append((b"www-authenticate", self._challenge("" if no_token else "invalid_token")))
        if refusal.code in _INSUFFICIENT:
            headers.append((b"www-authenticate", self._challenge("insufficient_scope")))
        if refusal.code in _NOT_WORTH_RETRYING:
            headers.append((b"x-should-retry", b"false"))
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        return status, headers, dialect.error(refusal, status)

    def with_manage_url(self, refusal: CallRefused, grant_id: str) -> CallRefused:
        """A used-up limit says where its owner can raise it; opening the page grants nothing."""
        if STATUS[refusal.code] == 402:
            refusal.extra = refusal.extra | {"manage_url": f"{self._issuer}/grants/{grant_id}"}
        return refusal

    def _challenge(self, error: str) -> bytes:
        # RFC 6750 §3.1: without any authentication information the answer "SHOULD NOT include an error code".
        parts = [f'error="{error}"'] if error else []
        return ("Bearer " + ", ".join([*parts, f'resource_metadata="{self._metadata}"'])).encode()


def refused(error: BrokerError) -> CallRefused:
    """Whatever stopped us before the provider, as a refusal."""
    if isinstance(error, CallRefused):
        return error
    return CallRefused("unavailable", Unavailable.description, retry_after=Unavailable.retry_after, detail=error.detail)
