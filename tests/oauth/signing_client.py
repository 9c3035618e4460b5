"""A client that authenticates by its signature, and signs whatever a test wants."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from joserfc.jwk import ECKey

from broker.core.strict_json import dumps
from broker.oauth.assertion import TYPE
from broker.oauth.clients import Safeguards
from tests.oauth.test_jws import Private, public, sign
from tests.oauth.world import CALLBACK, ISSUER, Registered, TurnedClock, World, ask

KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")

_serial = count()


def key_set(*keys: Private) -> str:
    return dumps({"keys": [public(key, kid=key.thumbprint(), use="sig") for key in keys]}).decode()


@dataclass
class SigningClient(Registered):
    clock: TurnedClock
    key: Private = field(default_factory=lambda: KEY)
    algorithm: str = "ES256"
    claims: dict[str, Any] = field(default_factory=dict)
    """What its assertions say otherwise than they should; None leaves one out."""
    header: dict[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        return {"client_assertion_type": TYPE, "client_assertion": self.assertion()}

    def assertion(self, **changes: Any) -> str:
        now = self.clock() // 1_000_000
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": ISSUER,
            "jti": f"assertion {next(_serial)}",
            "iat": now,
            "exp": now + 60,
        }
        header = {"alg": self.algorithm, "kid": self.key.thumbprint()}
        return sign(self.key, _given(header | self.header), _given(claims | self.claims | changes))


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def signing_client(
    world: World,
    *keys: Private,
    redirect_uris: tuple[str, ...] = (CALLBACK,),
    **safeguards: Any,
) -> SigningClient:
    """Registered with these keys, and signing with the first of them."""
    keys = keys or (KEY,)
    asked = Safeguards(**({"jwks": key_set(*keys)} | safeguards))
    client = await world.register(public=False, redirect_uris=redirect_uris, safeguards=asked)
    assert client.secret is None
    return SigningClient(client.id, None, world.clock, keys[0])


async def pushes(world: World, client: SigningClient, **fields: str) -> httpx.Response:
    return await world.http.post("/oauth/par", data=ask(client) | client.fields() | fields)


def is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()) == (
        401,
        {"error": "invalid_client", "error_description": "Client authentication failed."},
    )
