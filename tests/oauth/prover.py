"""What a client does to prove that it holds a key: keys of each kind, and proofs right or wrong in one member."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from broker.core.strict_json import dumps
from broker.oauth.dpop import ath_of
from tests.oauth.world import ISSUER

_numbers = count()
TOKEN = f"{ISSUER}/oauth/token"
PAR = f"{ISSUER}/oauth/par"


@dataclass
class Prover:
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    algorithm: str = "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        return dict(self.key.as_dict(private=False))

    @property
    def jkt(self) -> str:
        return str(self.key.thumbprint())

    def proof(
        self,
        now: int,
        uri: str = TOKEN,
        method: str = "POST",
        *,
        token: str | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """`now` in microseconds; a claim or header member that is None is left out."""
        made = {"jti": f"j{next(_numbers)}", "htm": method, "htu": uri, "iat": now // 1_000_000}
        made |= {} if token is None else {"ath": ath_of(token)}
        top = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk}
        return self.signed(_kept(top | (header or {})), dumps(_kept(made | claims)))

    def signed(self, header: dict[str, Any], payload: bytes) -> str:
        """By the key and the algorithm of this one, whatever the header says."""
        signed = f"{segment(dumps(header))}.{segment(payload)}"
        return f"{signed}.{segment(JWSRegistry.algorithms[self.algorithm].sign(signed.encode(), self.key))}"


def segment(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _kept(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def provers() -> list[Prover]:
    """One of each kind that is taken."""
    rsa, edwards = RSAKey.generate_key(2048), OKPKey.generate_key("Ed25519")
    return [
        Prover(),
        Prover(rsa, "PS256"),
        Prover(rsa, "RS256"),
        Prover(edwards, "EdDSA"),
        Prover(edwards, "Ed25519"),
    ]
