"""Reads the proof of possession in the headers of a request, wherever such a request arrives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from broker.core.clock import Clock
from broker.oauth.dpop import Proof, Request, bad_proof, check_proof
from broker.oauth.nonces import Nonces
from broker.settings import Settings

HEADER = "dpop"
NONCE_HEADER = "dpop-nonce"


@dataclass(frozen=True, slots=True)
class ProofReader:
    """For one issuer, whose address proofs name, whatever scheme and host a request arrived with."""

    issuer: str
    clock: Clock
    window: int
    """Seconds."""
    nonces: Nonces | None
    """None where none are wanted; then none are given either (RFC 9449 §11.3)."""

    @classmethod
    def build(cls, settings: Settings, clock: Clock, nonce_key: bytes) -> Self:
        window = settings.dpop_window_seconds
        return cls(settings.public_url, clock, window, Nonces(nonce_key, window) if settings.dpop_nonce else None)

    def read(self, shown: Sequence[str], method: str, path: str, access_token: str | None = None) -> Proof | None:
        """None where no proof is shown; it may have been shown before. Raises OAuthError as `check_proof`."""
        if not shown:
            return None
        if len(shown) > 1:
            raise bad_proof("several proofs")
        request = Request(method, f"{self.issuer}{path}", access_token)
        return check_proof(shown[0], request, now=self.clock(), window=self.window, nonces=self.nonces)

    def fresh_nonce(self) -> dict[str, str]:
        """The header that gives a nonce for the next proof (RFC 9449 §8.2); empty where none are wanted."""
        return {} if self.nonces is None else {NONCE_HEADER: self.nonces.at(self.clock())}
