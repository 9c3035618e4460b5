"""The authorization server by itself as an ASGI app, without the pages around it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from broker.core.errors import PageError
from broker.oauth.request import UntrustedRequest
from broker.oauth.server import AuthorizationServer


def as_app(server: AuthorizationServer) -> Starlette:
    """The routes of the authorization server; a dead end is shown as JSON, for a test to read."""

    async def dead_end(_request: Request, error: PageError) -> JSONResponse:
        untrusted = error if isinstance(error, UntrustedRequest) else None
        return JSONResponse(
            {
                "title": error.title,
                "reason": untrusted.reason if untrusted else "",
                "client_id": untrusted.client_id if untrusted else "",
                "address": untrusted.address if untrusted else "",
            },
            error.status,
        )

    routes = [
        Route("/.well-known/oauth-authorization-server", server.discovery.server),
        Route("/.well-known/oauth-protected-resource/proxy", server.discovery.resource),
        Route("/.well-known/jwks.json", server.discovery.keys),
        Route("/schemas/ai_model_access.json", server.discovery.details_schema),
        Route("/oauth/par", server.par.endpoint, methods=["POST"]),
        Route("/oauth/authorize", server.authorize.endpoint, methods=["GET", "POST"]),
        Route("/oauth/device_authorization", server.device.endpoint, methods=["POST"]),
        Route("/oauth/token", server.token.endpoint, methods=["POST"]),
        Route("/proxy/anthropic/v1/oauth/token", server.token.alias, methods=["POST"]),
        Route("/oauth/revoke", server.revoke.endpoint, methods=["POST"]),
        Route("/oauth/introspect", server.introspect.endpoint, methods=["POST"]),
        Route("/oauth/grants/{grant_id}", server.grants.show, methods=["GET"]),
        Route("/oauth/grants/{grant_id}", server.grants.revoke, methods=["DELETE"]),
        Route("/oauth/grants/{grant_id}/receipts", server.grants.receipts),
        Route("/oauth/register", server.registration.endpoint, methods=["POST"]),
        Route("/oauth/register/{client_id}", server.registered.show, methods=["GET"]),
        Route("/oauth/register/{client_id}", server.registered.replace, methods=["PUT"]),
        Route("/oauth/register/{client_id}", server.registered.remove, methods=["DELETE"]),
    ]
    return Starlette(routes=routes, exception_handlers={PageError: dead_end})  # type: ignore[dict-item]
