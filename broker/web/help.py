"""/help/what-apps-see: what an app learns, and what it is told when it is refused."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from broker.web.context import Web


@dataclass(frozen=True, slots=True)
class Refusal:
    cause: str
    status: str
    code: str
    told: str


REFUSALS = (
    Refusal("Spending limit reached", "402", "budget_exhausted", "How much the call needs, what is left and reserved"),
    Refusal("Requests used up", "402", "requests_exhausted", "That no requests are left"),
    Refusal("Too many a minute", "429", "rate_limited", "When to try again"),
    Refusal("Too many at once", "429", "too_many_concurrent", "To try again when a call has ended"),
    Refusal("Ended or revoked", "401", "invalid_token", "That its access does not work; not why"),
    Refusal("Paused", "403", "grant_paused", "That it is paused; trying again does not help"),
    Refusal("Stopped after going over", "403", "grant_frozen", "That it is stopped; trying again does not help"),
    Refusal("Provider not approved", "403", "provider_not_granted", "That it has no access to this provider"),
    Refusal("Model not approved", "403", "model_not_granted", "That it has no access to this model"),
    Refusal("Capability not approved", "403", "action_not_granted", "Which capability it would need"),
    Refusal("Model without a price", "403", "no_price", "That the cost of this model is not known here"),
    Refusal("Cost cannot be bounded", "403", "not_boundable", "Which part of the request has no known cost"),
    Refusal("Key missing or refused", "503", "provider_key_unavailable", "That the provider cannot be used now"),
    Refusal("Provider trouble", "502 or 504", "provider_error or provider_timeout", "That the provider did not answer"),
    Refusal("Sent again", "409", "in_progress or already_ran", "That it still runs, or has run and what it cost"),
    Refusal("Sent again, but changed", "422", "idempotency_mismatch", "That the first request was another one"),
)
"""The order of the page: the limits first, then what was not approved, then what is nobody's limit."""


class HelpPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def what_apps_see(self, request: Request) -> Response:
        signed_in = await self._web.sessions.current(request)
        rows = [(refusal.cause, refusal.status, refusal.code, refusal.told) for refusal in REFUSALS]
        return self._web.pages.render(request, "help_what_apps_see.html", signed_in=signed_in, rows=rows)
