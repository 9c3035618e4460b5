"""What others sign (RFC 7515): taken apart strictly, and verified with one public key that was chosen for it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from broker.core.strict_json import JSONValue, loads

ALGORITHMS = ("ES256", "PS256", "RS256", "EdDSA", "Ed25519")

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""What a key has only where someone besides its holder must not see it (RFC 7518 §6)."""

_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_SIGNS = {("EC", "P-256"): ("ES256",), ("RSA", ""): ("PS256", "RS256"), ("OKP", "Ed25519"): ("EdDSA", "Ed25519")}
_RSA_BITS = range(2048, 4097)
_MOST_EXPONENT = 2**32
"""Verifying with a vast exponent or modulus would keep a worker busy for whoever registered it."""


class BadJws(ValueError):
    """No compact JWS that one could verify; the reason is for the log."""


class BadKey(ValueError):
    """No public key that could verify anything here; the reason is one clause for whoever registered it."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """Header and claims as they were written; nobody has checked yet by whom."""

    header: dict[str, JSONValue]
    claims: dict[str, JSONValue]
    algorithm: str
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    kid: str
    """As its owner names it; empty where it has no name."""
    algorithms: tuple[str, ...]
    material: ECKey | RSAKey | OKPKey

    def verifies(self, signed: Unverified) -> bool:
        if signed.algorithm not in self.algorithms:
            return False
        algorithm = JWSRegistry.algorithms[signed.algorithm]
        try:
            return bool(algorithm.verify(signed.signing_input, signed.signature, self.material))
        except (JoseError, ValueError):
            return False

    @property
    def thumbprint(self) -> str:
        """RFC 7638."""
        return self.material.thumbprint()


def parse_jws(text: str, most: int) -> Unverified:
    """Of at most so many characters; raises BadJws. Which header names may stand beside `alg` is for the caller to say."""
    if len(text) > most or not text.isascii():
        raise BadJws("too long, or not ASCII")
    parts = text.split(".")
    if len(parts) != 3:
        raise BadJws("not three parts")
    header, claims = _json_object(parts[0]), _json_object(parts[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadJws("an algorithm that is not allowed")
    # RFC 7515 §4.1.11: what must be understood is not; RFC 7797 would change what was signed.
    if "crit" in header or "b64" in header:
        raise BadJws("crit or b64 in the header")
    return Unverified(header, claims, algorithm, f"{parts[0]}.{parts[1]}".encode(), _decoded(parts[2]))


def parse_key(jwk: JSONValue) -> PublicKey:
    """A public key that signs; raises BadKey, also for a private one."""
    if not isinstance(jwk, dict):
        raise BadKey("a key is not an object")
    if not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise BadKey("a key is not a public one")
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _MEMBERS or not signs_here(jwk):
        raise BadKey("a key is of a kind that is not used here")
    members = {name: _text(jwk, name) for name in _MEMBERS[kind]}
    material = _imported(kind, members)
    stated = jwk.get("alg")
    algorithms = tuple(name for name in _SIGNS[kind, members.get("crv", "")] if stated in (None, name))
    return PublicKey(_text(jwk, "kid") if "kid" in jwk else "", algorithms, material)


def signs_here(jwk: dict[str, JSONValue]) -> bool:
    """Whether a key, by what it says of itself, is one for signatures that are verified here."""
    kind, curve, use, operations = jwk.get("kty"), jwk.get("crv", ""), jwk.get("use"), jwk.get("key_ops")
    if not isinstance(kind, str) or not isinstance(curve, str):
        return False
    algorithms = _SIGNS.get((kind, "" if kind == "RSA" else curve), ())
    fits = not isinstance(operations, list) or "verify" in operations
    return bool(algorithms) and use in (None, "sig") and fits and jwk.get("alg") in (None, *algorithms)


def _imported(kind: str, members: dict[str, str]) -> ECKey | RSAKey | OKPKey:
    coordinates = {name: value for name, value in members.items() if name != "crv"}
    try:
        numbers = {name: int.from_bytes(_decoded(value)) for name, value in coordinates.items()}
        if kind == "RSA":
            exponent = numbers["e"]
            if numbers["n"].bit_length() not in _RSA_BITS or not 3 <= exponent < _MOST_EXPONENT:
                raise BadKey("an RSA key must have 2048 to 4096 bits and an ordinary exponent")
            return RSAKey.import_key({"kty": kind, **members})
        if kind == "EC":
            return ECKey.import_key({"kty": kind, **members})
        return OKPKey.import_key({"kty": kind, **members})
    except BadKey:
        raise
    except (JoseError, ValueError) as error:
        raise BadKey("a key cannot be read") from error


def _text(jwk: dict[str, JSONValue], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise BadKey(f"a key has no right {name}")
    return value


def _json_object(segment: str) -> dict[str, JSONValue]:
    try:
        value = loads(_decoded(segment))
    except ValueError as error:
        raise BadJws("a part is not JSON") from error
    if not isinstance(value, dict):
        raise BadJws("a part is not an object")
    return value


def _decoded(segment: str) -> bytes:
    """One spelling only: no padding, no foreign character, no bit that is not used."""
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise BadJws("not base64url") from error
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise BadJws("not base64url as it must be written")
    return raw
