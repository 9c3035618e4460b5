"""A client proves by its signature who it is (private_key_jwt: RFC 7523 §2.2, OpenID Connect Core §9)."""

import json
from dataclasses import dataclass

from broker.core.clock import Clock, from_seconds, to_seconds
from broker.core.handle import digest
from broker.core.strict_json import JSONValue
from broker.oauth.client_keys import ClientKeys
from broker.oauth.fapi import Profile, profile_of
from broker.oauth.jws import BadJws, Unverified, parse_jws
from broker.store import seen
from broker.store.database import Database
from broker.store.tables import Client

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGNING = "token_endpoint_auth_signing_alg"
MOST_CHARACTERS = 8192
MOST_JTI = 512
MOST_INSTANT = 10**11
SECONDS = 300
"""How long an assertion can be shown for the first time, whatever end it names."""
AHEAD = 60
"""Seconds that `iat` and `nbf` may lie ahead; FAPI 2.0 §5.3.2.1 wants 10 taken and more than 60 refused."""
SKEW = 10
KEPT = 60
"""Seconds for which one is remembered after its end: servers on one database need not agree on the time."""

_TYPES = ("jwt", "client-authentication+jwt")
_CHOOSES_A_KEY = {"jwk", "jku", "x5u", "x5c"}
"""Header names by which whoever signed would choose what it is verified with (RFC 8725 §3.10)."""


class BadAssertion(ValueError):
    """It does not say who is calling; the reason is for the log."""


def read_assertion(text: str) -> Unverified:
    """Raises BadAssertion."""
    try:
        signed = parse_jws(text, MOST_CHARACTERS)
    except BadJws as error:
        raise BadAssertion(str(error)) from error
    kind = signed.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise BadAssertion("signed for another purpose")
    if not _CHOOSES_A_KEY.isdisjoint(signed.header):
        raise BadAssertion("a key or its address in the header")
    return signed


@dataclass(frozen=True, slots=True)
class Assertions:
    """Judges assertions for one issuer, and takes each once over all workers."""

    db: Database
    clock: Clock
    issuer: str
    keys: ClientKeys

    async def check(self, signed: Unverified, client: Client, path: str) -> None:
        """That this client signed it for the endpoint at this path, or for the server; raises BadAssertion."""
        profile = profile_of(client)
        if signed.algorithm not in profile.algorithms or _pinned(client) not in (None, signed.algorithm):
            raise BadAssertion("another algorithm than the client may use")
        keys = await self.keys.find(client, signed)
        if not any(key.verifies(signed) for key in keys):
            raise BadAssertion("no key of the client made this signature")
        self._check_audience(signed.claims.get("aud"), profile, path)
        ends, jti = _judge(signed.claims, client.id, profile, to_seconds(self.clock()))
        name = digest(f"client assertion\x1f{client.id}\x1f{jti}")
        if not await self.db.write(lambda tx: seen.once(tx, name, from_seconds(ends + KEPT), self.clock())):
            raise BadAssertion("shown before")

    def _check_audience(self, audience: JSONValue, profile: Profile, path: str) -> None:
        # RFC 9126 §2: the issuer, "the token endpoint URL" and "the pushed authorization request endpoint URL" are taken.
        ours = {self.issuer, *(f"{self.issuer}{place}" for place in ("/oauth/token", "/oauth/par", path))}
        if profile.issuer_alone:
            fits = audience == self.issuer
        else:
            listed = audience if isinstance(audience, list) else [audience]
            fits = any(isinstance(one, str) and one in ours for one in listed)
        if not fits:
            raise BadAssertion("made for another server")


def _judge(claims: dict[str, JSONValue], client_id: str, profile: Profile, now: int) -> tuple[int, str]:
    """From which second on it is refused for its age, and its name; raises BadAssertion."""
    jti, ends, issued = claims.get("jti"), _instant(claims, "exp"), _instant(claims, "iat")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadAssertion("iss or sub is not the client")
    if not isinstance(jti, str) or not 0 < len(jti) <= MOST_JTI:
        raise BadAssertion("no right jti")
    if max(issued or 0, _instant(claims, "nbf") or 0) > now + AHEAD:
        raise BadAssertion("iat or nbf lies ahead")
    # An end that is far ahead is common (an hour, in libraries); it is near all the same where one knows the beginning.
    longest = SECONDS if issued is None else profile.assertion_seconds
    if ends is None or ends > now + longest + SKEW:
        raise BadAssertion("exp is missing or too far ahead")
    last = ends if issued is None else min(ends, issued + SECONDS)
    if last <= now:
        raise BadAssertion("too old")
    return last, jti


def _pinned(client: Client) -> str | None:
    """The one algorithm that its registration names, if it does (RFC 7591 §2)."""
    value = json.loads(client.registered).get(SIGNING)
    return value if isinstance(value, str) else None


def _instant(claims: dict[str, JSONValue], name: str) -> int | None:
    """In whole seconds, rounded down; None where it is absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MOST_INSTANT:
        raise BadAssertion(f"{name} is no instant")
    return int(value)
