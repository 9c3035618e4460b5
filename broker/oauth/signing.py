"""Signed access tokens (RFC 9068) and consent receipts, and the key set that others may fetch."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from hashlib import sha256

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.claims import Claims
from broker.core.clock import from_seconds, to_seconds
from broker.core.errors import InvalidToken
from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.oauth.signing_keys import KeyRing, OwnKey, load_keys, make_missing_keys
from broker.settings import Settings
from broker.vault.vault import Vault

TYPE = "at+jwt"
RECEIPT_TYPE = "consent-receipt+jwt"
MAX_TOKEN_BYTES = 4096
"""Judged before anything of a token is parsed; nothing longer is issued."""
MAX_INSTANT = 10**11
CLOCK_SKEW = 60
"""Seconds that `iat` may lie ahead: workers share no clock tick."""

MOST_KEPT = 20_000
"""Verified tokens: a few hundred bytes each."""

_HEADER = {"typ", "alg", "kid"}


class Signer:
    """Signs with the key whose time has come and verifies with each that is not retired; knows its issuer and resource."""

    def __init__(self, keys: KeyRing, *, issuer: str, resource: str, subject_key: bytes) -> None:
        self._subject_key = subject_key
        self._by_kid: dict[str, OwnKey] = {}
        self._verified: OrderedDict[bytes, tuple[Claims, int]] = OrderedDict()
        self.issuer = issuer
        self.resource = resource
        self.use(keys)

    def use(self, keys: KeyRing) -> None:
        """These keys from now on; where they are others than before, what was verified is verified anew."""
        known = {key.kid: key.retired_at for key in self._by_kid.values()}
        self._keys = keys
        self._by_kid = {key.kid: key for key in keys.tokens}
        if known != {key.kid: key.retired_at for key in keys.tokens}:
            self._verified.clear()

    def subject(self, user_id: str, client_id: str) -> str:
        """A pairwise name: two clients cannot find out that they serve the same person."""
        mac = hmac.digest(self._subject_key, f"{user_id}\x1f{client_id}".encode(), sha256)
        return urlsafe_b64encode(mac).rstrip(b"=").decode()

    def sign_access_token(self, claims: dict[str, object], *, now: int, ends_at: int) -> str:
        return self._keys.token_key(now, ends_at).sign(TYPE, claims)

    def sign_receipt(self, claims: dict[str, object]) -> str:
        return self._keys.receipts[-1].sign(RECEIPT_TYPE, claims)

    def verify_access_token(self, token: str, now: int) -> Claims:
        """Raises InvalidToken. The live rows decide what the token may do; this only says which rows they are.

        A signature is checked once: whoever shows the same bytes again shows what was checked, and until when it is
        believed is looked at each time.
        """
        # By digest, so that no token lies about in memory; the whole token, so that another signature is another token.
        name = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(name)
        if known is None:
            known = self._verified[name] = self._verify(token, now)
            if len(self._verified) > MOST_KEPT:
                self._verified.popitem(last=False)
        elif known[1] <= now:
            raise InvalidToken(detail="exp, or its key is retired")
        else:
            self._verified.move_to_end(name)
        return known[0]

    def _verify(self, token: str, now: int) -> tuple[Claims, int]:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
            raise InvalidToken(detail="not a token of ours by its shape")
        signing_input, _, signature = token.rpartition(".")
        head, _, body = signing_input.partition(".")
        try:
            key = self._key(loads(_decoded(head)), now)
            if not key.verifies(signing_input.encode(), _decoded(signature)):
                raise InvalidToken(detail="signature")
            claims = self._claims(loads(_decoded(body)), to_seconds(now))
        except ValueError as error:
            raise InvalidToken(detail=f"encoding or payload: {type(error).__name__}") from error
        ends_at = from_seconds(claims.expires_at)
        return claims, ends_at if key.retired_at is None else min(ends_at, key.retired_at)

    def jwks(self, now: int) -> dict[str, object]:
        """Public parts only; the next key is among them before it signs."""
        keys = (*self._keys.tokens, *self._keys.receipts)
        return {"keys": [key.public_jwk() for key in keys if key.is_believed(now)]}

    def _key(self, header: JSONValue, now: int) -> OwnKey:
        # The header is an allow-list: a name such as jwk, jku, x5u, x5c or crit refuses the token (RFC 8725 §3.10).
        if not isinstance(header, dict) or header.keys() != _HEADER:
            raise InvalidToken(detail="header names")
        kid = header["kid"]
        key = self._by_kid.get(kid) if isinstance(kid, str) else None
        if key is None or header["typ"] != TYPE or header["alg"] != key.algorithm or not key.is_believed(now):
            raise InvalidToken(detail="header values")
        return key

    def _claims(self, claims: JSONValue, now: int) -> Claims:
        if not isinstance(claims, dict):
            raise NotStrict("not an object")
        if claims.get("iss") != self.issuer or claims.get("aud") != self.resource:
            raise InvalidToken(detail="iss or aud")
        ends, issued, begins = _instant(claims, "exp"), _instant(claims, "iat"), claims.get("nbf")
        if ends <= now or issued > now + CLOCK_SKEW or begins is not None:
            raise InvalidToken(detail="exp, iat or nbf")
        return Claims(
            jti=_name(claims, "jti"),
            grant_id=_name(claims, "grant_id"),
            client_id=_name(claims, "client_id"),
            subject=_name(claims, "sub"),
            expires_at=ends,
            jkt=_key_of(claims),
        )


async def load_or_make_signing_keys(tx: AsyncSession, vault: Vault, now: int, settings: Settings) -> Signer:
    """In a writing transaction: the first call of an installation makes the first keys."""
    await make_missing_keys(tx, vault, now, settings)
    keys = await load_keys(tx, vault, now)
    where = {"issuer": settings.public_url, "resource": settings.resource}
    return Signer(keys, subject_key=vault.derive("pairwise"), **where)


def _key_of(claims: dict[str, JSONValue]) -> str:
    """A confirmation that is not understood is no reason to believe whoever shows the token."""
    if "cnf" not in claims:
        return ""
    cnf = claims["cnf"]
    if not isinstance(cnf, dict) or cnf.keys() != {"jkt"}:
        raise InvalidToken(detail="cnf")
    return _name(cnf, "jkt")


def _decoded(segment: str) -> bytes:
    """One spelling only: no padding, no foreign character, no bit that is not used. Raises ValueError."""
    raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise ValueError("not base64url as it must be written")
    return raw


def _instant(claims: dict[str, JSONValue], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < MAX_INSTANT:
        raise InvalidToken(detail=f"{name} is no instant")
    return value


def _name(claims: dict[str, JSONValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken(detail=f"{name} is missing")
    return value
