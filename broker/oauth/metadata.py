"""What clients may discover: the authorization server, the resource, the public keys, the type of details."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.access import DETAILS_TYPES
from broker.core.clock import Clock
from broker.oauth import receipt_schema
from broker.oauth.client_auth import METHODS
from broker.oauth.details_schema import SCHEMA
from broker.oauth.grant_action import ACTIONS
from broker.oauth.grant_types import offered
from broker.oauth.jws import ALGORITHMS
from broker.oauth.registration import PATH as REGISTRATION
from broker.oauth.signing import Signer
from broker.oauth.signing_keys import CACHED_SECONDS
from broker.settings import Settings

PUBLIC = {"cache-control": f"public, max-age={CACHED_SECONDS}", "access-control-allow-origin": "*"}


def server_metadata(settings: Settings) -> dict[str, object]:
    """RFC 8414; says only what this server does."""
    issuer = settings.public_url
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": settings.require_pushed,
        **({"device_authorization_endpoint": f"{issuer}/oauth/device_authorization"} if settings.device_grant else {}),
        **_authenticated("token_endpoint", f"{issuer}/oauth/token"),
        **_authenticated("revocation_endpoint", f"{issuer}/oauth/revoke"),
        **_authenticated("introspection_endpoint", f"{issuer}/oauth/introspect", METHODS[1:]),
        "grant_management_endpoint": f"{issuer}/oauth/grants",
        "grant_management_actions_supported": [*ACTIONS, "query", "revoke"],
        "grant_management_action_required": False,
        **({"registration_endpoint": f"{issuer}{REGISTRATION}"} if settings.client_registration else {}),
        "client_id_metadata_document_supported": settings.client_documents,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(offered(settings)),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": list(DETAILS_TYPES),
        "protected_resources": [settings.resource],
    }


def _authenticated(name: str, address: str, methods: Sequence[str] = METHODS) -> dict[str, object]:
    """An endpoint at which clients authenticate, and how they may."""
    return {
        name: address,
        f"{name}_auth_methods_supported": list(methods),
        f"{name}_auth_signing_alg_values_supported": list(ALGORITHMS),
    }


def resource_metadata(settings: Settings) -> dict[str, object]:
    """RFC 9728."""
    return {
        "resource": settings.resource,
        "authorization_servers": [settings.public_url],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
        "authorization_details_types_supported": list(DETAILS_TYPES),
        "resource_name": settings.instance_name,
    }


@dataclass(frozen=True, slots=True)
class Discovery:
    settings: Settings
    signer: Signer
    clock: Clock

    async def server(self, request: Request) -> Response:
        return JSONResponse(server_metadata(self.settings), headers=PUBLIC)

    async def resource(self, request: Request) -> Response:
        return JSONResponse(resource_metadata(self.settings), headers=PUBLIC)

    async def keys(self, request: Request) -> Response:
        return JSONResponse(self.signer.jwks(self.clock()), headers=PUBLIC, media_type="application/jwk-set+json")

    async def details_schema(self, request: Request) -> Response:
        return JSONResponse(SCHEMA, headers=PUBLIC, media_type="application/schema+json")

    async def receipt_schema(self, request: Request) -> Response:
        return JSONResponse(receipt_schema.SCHEMA, headers=PUBLIC, media_type="application/schema+json")
