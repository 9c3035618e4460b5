"""Signing keys, the key set that others may fetch, and signed access tokens (RFC 9068)."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from hashlib import sha256

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.claims import Claims
from broker.core.clock import to_seconds
from broker.core.errors import InvalidToken
from broker.core.secret import Secret
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.store import signing_keys
from broker.store.tables import SigningKey
from broker.vault.vault import Place, Vault

ALGORITHM = "ES256"
TYPE = "at+jwt"
MAX_TOKEN_BYTES = 4096
"""Judged before anything of a token is parsed; nothing longer is issued."""
MAX_INSTANT = 10**11
CLOCK_SKEW = 60
"""Seconds that `iat` may lie ahead: workers share no clock tick."""

MOST_KEPT = 20_000
"""Verified tokens: a few hundred bytes each."""

_HEADER = {"typ", "alg", "kid"}


class Signer:
    """Signs with the newest key and verifies with each that is not retired; knows its issuer and its one resource."""

    def __init__(self, keys: list[ECKey], *, issuer: str, resource: str, subject_key: bytes) -> None:
        self._newest = keys[-1]
        self._keys = {_kid(key): key for key in keys}
        self._subject_key = subject_key
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()
        self.issuer = issuer
        self.resource = resource

    def subject(self, user_id: str, client_id: str) -> str:
        """A pairwise name: two clients cannot find out that they serve the same person."""
        mac = hmac.digest(self._subject_key, f"{user_id}\x1f{client_id}".encode(), sha256)
        return urlsafe_b64encode(mac).rstrip(b"=").decode()

    def sign_access_token(self, claims: dict[str, object]) -> str:
        header = {"typ": TYPE, "alg": ALGORITHM, "kid": _kid(self._newest)}
        return jws.serialize_compact(header, dumps(claims), self._newest, algorithms=[ALGORITHM])

    def verify_access_token(self, token: str, now: int) -> Claims:
        """Raises InvalidToken. The live rows decide what the token may do; this only says which rows they are.

        A signature is checked once: whoever shows the same bytes again shows what was checked, and its end is looked at
        each time.
        """
        # By digest, so that no token lies about in memory; the whole token, so that another signature is another token.
        name = sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._verified.get(name)
        if claims is None:
            claims = self._verify(token, now)
            self._verified[name] = claims
            if len(self._verified) > MOST_KEPT:
                self._verified.popitem(last=False)
        elif claims.expires_at <= to_seconds(now):
            raise InvalidToken(detail="exp")
        else:
            self._verified.move_to_end(name)
        return claims

    def _verify(self, token: str, now: int) -> Claims:
        if len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
            raise InvalidToken(detail="not a token of ours by its shape")
        try:
            verified = jws.deserialize_compact(token, self._key(token), algorithms=[ALGORITHM])
            return self._claims(loads(verified.payload), to_seconds(now))
        except (JoseError, ValueError) as error:
            raise InvalidToken(detail=f"signature or payload: {type(error).__name__}") from error

    def jwks(self) -> dict[str, object]:
        """Public parts only."""
        return {"keys": [public_jwk(key) for key in self._keys.values()]}

    def _key(self, token: str) -> ECKey:
        # The header is an allow-list: a name such as jwk, jku, x5u, x5c or crit refuses the token (RFC 8725 §3.10).
        segment = token.partition(".")[0]
        header = loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        if not isinstance(header, dict) or header.keys() != _HEADER:
            raise InvalidToken(detail="header names")
        kid = header["kid"]
        if header["typ"] != TYPE or header["alg"] != ALGORITHM or not isinstance(kid, str) or kid not in self._keys:
            raise InvalidToken(detail="header values")
        return self._keys[kid]

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
        )


async def load_or_make_signing_keys(tx: AsyncSession, vault: Vault, now: int, *, issuer: str, resource: str) -> Signer:
    """In a writing transaction: the first call of an installation makes the first key."""
    rows = await signing_keys.in_use(tx)
    if not rows:
        rows = [_sealed(ECKey.generate_key("P-256", private=True), vault, now)]
        await signing_keys.add(tx, rows[0])
    keys = [_opened(row, vault) for row in rows]
    return Signer(keys, issuer=issuer, resource=resource, subject_key=vault.derive("pairwise"))


def public_jwk(key: ECKey) -> dict[str, object]:
    return {**key.as_dict(private=False), "kid": _kid(key), "use": "sig", "alg": ALGORITHM}


def _kid(key: ECKey) -> str:
    return key.thumbprint()  # RFC 7638


def _place(kid: str) -> Place:
    return Place("signing_key", kid, "operator")


def _sealed(key: ECKey, vault: Vault, now: int) -> SigningKey:
    kid = _kid(key)
    private = Secret(dumps(key.as_dict(private=True)).decode())
    return SigningKey(
        kid=kid,
        algorithm=ALGORITHM,
        sealed=vault.seal(private, _place(kid)),
        public_jwk=dumps(public_jwk(key)).decode(),
        created_at=now,
    )


def _opened(row: SigningKey, vault: Vault) -> ECKey:
    private = loads(vault.open(row.sealed, _place(row.kid)).reveal().encode())
    if not isinstance(private, dict):
        raise TypeError("a signing key is a JSON object")
    return ECKey.import_key({name: str(value) for name, value in private.items()})


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
