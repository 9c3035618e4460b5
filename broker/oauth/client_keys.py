"""The public keys of clients: registered with them, or fetched from where they publish them."""

from asyncio import Lock
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from broker.core.clock import MINUTE, SECOND, Clock
from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.oauth.jws import PRIVATE_MEMBERS, BadKey, PublicKey, Unverified, parse_key, signs_here
from broker.ops.log import logger
from broker.providers.fetch import Fetch, NotFetched, is_fetchable
from broker.store.tables import Client

MOST_BYTES = 65_536
MOST_KEYS = 20
MOST_TRIED = 5
"""Keys that one signature is verified with, where it does not say which."""
MOST_SETS = 1_000
MOST_REMEMBERED = 128
FRESH = 5 * MINUTE
AGAIN_AFTER = MINUTE
"""A signature by a key that is not known asks for the set again, and no more often than this."""
AGAIN_AFTER_FAILURE = 10 * SECOND

ACCEPT = "application/jwk-set+json, application/json"

_log = logger("oauth")

Keys = tuple[PublicKey, ...]


def parse_keys(value: JSONValue) -> Keys:
    """A key set (RFC 7517 §5); raises BadKey for a private key, or where no key could verify a signature."""
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise BadKey(f"a key set has 1 to {MOST_KEYS} keys")
    keys = []
    for jwk in listed:
        if not isinstance(jwk, dict) or not PRIVATE_MEMBERS.isdisjoint(jwk):
            raise BadKey("a key is not a public one")
        # RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use kty values that are not understood".
        if signs_here(jwk):
            keys.append(parse_key(jwk))
    if not keys:
        raise BadKey("no key is for signatures that are verified here")
    return tuple(keys)


def read_keys(raw: bytes) -> Keys:
    """As `parse_keys`, from JSON; raises BadKey."""
    if len(raw) > MOST_BYTES:
        raise BadKey(f"a key set has at most {MOST_BYTES} bytes")
    try:
        return parse_keys(loads(raw))
    except NotStrict:
        raise BadKey("a key set is not JSON") from None


@lru_cache(maxsize=MOST_REMEMBERED)
def _registered(jwks: str) -> Keys:
    # Reading an RSA key takes longer than verifying with it.
    return read_keys(jwks.encode())


def read_registered(jwks: str, jwks_uri: str) -> Keys:
    """The keys registered with a client; none where it publishes them, or has none. Raises BadKey."""
    if jwks and jwks_uri:
        raise BadKey("keys are registered or published, not both")
    if jwks_uri and not is_fetchable(jwks_uri):
        raise BadKey("keys are published at an https address of a named host")
    return read_keys(jwks.encode()) if jwks else ()


def fitting(keys: Iterable[PublicKey], signed: Unverified) -> Keys:
    """Those that may have made this signature: the ones of its `kid` where it names one, else the first few by algorithm."""
    kid = signed.header.get("kid")
    fit = [key for key in keys if signed.algorithm in key.algorithms and (kid is None or kid == key.kid)]
    return tuple(fit[:MOST_TRIED])


@dataclass(slots=True)
class _Published:
    """What was fetched from one address, and when; empty while nothing was."""

    keys: Keys = ()
    stale_at: int = 0
    again_at: int = 0
    turn: Lock = field(default_factory=Lock)


class ClientKeys:
    """Finds the keys that a client may have signed with; what is published is remembered for five minutes."""

    def __init__(self, fetch: Fetch | None, clock: Clock, strangers: Fetch | None = None) -> None:
        """`strangers` fetches the keys of clients that brought themselves along: they must not keep others' from being read."""
        self._fetch = fetch
        self._strangers = strangers
        self._clock = clock
        self._published: OrderedDict[tuple[bool, str], _Published] = OrderedDict()

    async def find(self, client: Client, signed: Unverified) -> Keys:
        """None at all where nothing fits, or nothing could be fetched."""
        if client.jwks_uri:
            return await self._find_published(client.jwks_uri, signed, is_strangers=client.source != "operator")
        try:
            return fitting(_registered(client.jwks), signed) if client.jwks else ()
        except BadKey as error:
            _log.warning("client_keys_unreadable", client_id=client.id, detail=str(error))
            return ()

    async def _find_published(self, uri: str, signed: Unverified, *, is_strangers: bool) -> Keys:
        known = self._published.setdefault((is_strangers, uri), _Published())
        self._published.move_to_end((is_strangers, uri))
        if len(self._published) > MOST_SETS:
            self._published.popitem(last=False)
        async with known.turn:
            now = self._clock()
            if now >= known.stale_at:
                known.keys = ()
            found = fitting(known.keys, signed)
            if not found and now >= known.again_at:
                await self._read(self._strangers if is_strangers else self._fetch, uri, known)
                found = fitting(known.keys, signed)
            return found

    async def _read(self, fetch: Fetch | None, uri: str, known: _Published) -> None:
        try:
            if fetch is None:
                raise NotFetched("nothing is fetched here")
            answer = await fetch(uri, most=MOST_BYTES, accept=ACCEPT)
            keys = parse_keys(answer.json())
        except (NotFetched, BadKey) as error:
            known.again_at = self._clock() + AGAIN_AFTER_FAILURE
            _log.warning("client_keys_not_fetched", detail=str(error))
            return
        now = self._clock()
        known.keys, known.stale_at, known.again_at = keys, now + FRESH, now + AGAIN_AFTER
