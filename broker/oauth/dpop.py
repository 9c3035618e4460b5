"""Proofs of possession (RFC 9449 §4): whoever made this request holds the private key to the public one that it shows."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from broker.core.clock import SECOND, from_seconds
from broker.core.errors import OAuthError
from broker.core.handle import digest, same
from broker.core.strict_json import JSONValue
from broker.oauth.jws import BadJws, BadKey, PublicKey, Unverified, parse_jws, parse_key
from broker.oauth.nonces import Nonces
from broker.oauth.spelling import normal

TYPE = "dpop+jwt"
MAX_BYTES = 8192
MAX_JTI = 256
AHEAD_SECONDS = 10
"""How far ahead the clock of an honest client may be; one that is further ahead could make proofs to be used later."""
KEPT_SECONDS = 60
"""How much longer than it would be taken a proof is remembered: servers on one database need not agree on the time."""

_NOT_VALID = "The DPoP proof is not valid for this request."


@dataclass(frozen=True, slots=True)
class Request:
    """What a proof must have been made for; `uri` as clients know this server, whatever the request itself says."""

    method: str
    uri: str
    access_token: str | None = None
    """Where the proof comes beside one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A right one, which may have been shown before."""

    jkt: str
    """SHA-256 thumbprint of its key (RFC 7638)."""
    algorithm: str
    digest: str
    """What it is remembered by."""
    ends_at: int
    """Microseconds: when it may be forgotten."""


class ShownBefore(OAuthError):
    """A right proof that somebody has shown already."""

    def __init__(self, proof: Proof) -> None:
        super().__init__("invalid_dpop_proof", _NOT_VALID, detail="shown before")
        self.jkt = proof.jkt


def check_proof(text: str, request: Request, *, now: int, window: int, nonces: Nonces | None) -> Proof:
    """All of RFC 9449 §4.3 but the first time; `window` is how many seconds old a proof may be.

    Raises OAuthError invalid_dpop_proof, or use_dpop_nonce where nonces are wanted and only its nonce is not right.
    """
    try:
        signed = parse_jws(text, MAX_BYTES)
        key = parse_key(signed.header.get("jwk"))
    except (BadJws, BadKey) as error:
        raise bad_proof(str(error)) from error
    if signed.header.get("typ") != TYPE or not key.verifies(signed):
        raise bad_proof("typ, or the signature does not fit the key")
    return _judge(signed, key, request, now, window, nonces)


def _judge(signed: Unverified, key: PublicKey, request: Request, now: int, window: int, nonces: Nonces | None) -> Proof:
    claims = signed.claims
    htu, jti = _text(claims, "htu"), _text(claims, "jti")
    if not 0 < len(jti) <= MAX_JTI:
        raise bad_proof("jti")
    if _text(claims, "htm") != request.method:
        raise bad_proof("htm")
    place = normal(request.uri)
    if place is None or (htu != request.uri and normal(htu) != place):
        raise bad_proof("htu")
    if request.access_token is not None and not same(_text(claims, "ath"), ath_of(request.access_token)):
        raise bad_proof("ath")
    issued = _instant(claims)
    if not now < from_seconds(issued + window) or from_seconds(issued) > now + AHEAD_SECONDS * SECOND:
        raise bad_proof("iat")
    if nonces is not None and not nonces.has(_text(claims, "nonce", ""), now):
        raise OAuthError("use_dpop_nonce", "The proof must name the nonce of the DPoP-Nonce header.")
    jkt = key.thumbprint
    shown = digest(f"dpop\x1f{jkt}\x1f{place}\x1f{jti}")
    return Proof(jkt, signed.algorithm, shown, from_seconds(issued + window + KEPT_SECONDS))


def bad_proof(detail: str, description: str = _NOT_VALID) -> OAuthError:
    return OAuthError("invalid_dpop_proof", description, detail=detail)


def ath_of(access_token: str) -> str:
    return _base64url(sha256(access_token.encode("utf-8", "surrogatepass")).digest())


def _text(claims: dict[str, JSONValue], name: str, missing: str | None = None) -> str:
    value = claims.get(name, missing)
    if not isinstance(value, str):
        raise bad_proof(f"{name} is missing or no text")
    return value


def _instant(claims: dict[str, JSONValue]) -> int:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_proof("iat is missing or no whole number")
    return value


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
