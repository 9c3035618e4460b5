"""Proofs of possession beside an access token (RFC 9449 §7): a token that is bound to a key is nothing without one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import Clock
from broker.core.errors import OAuthError
from broker.oauth.dpop import Proof, bad_proof
from broker.oauth.jws import ALGORITHMS
from broker.oauth.proof_reader import ProofReader
from broker.store import seen
from broker.store.database import Database


@dataclass(frozen=True, slots=True)
class ResourceProofs:
    db: Database
    clock: Clock
    reader: ProofReader
    algorithms: Sequence[str] = ALGORITHMS

    def fresh_nonce(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode(), value.encode()) for name, value in self.reader.fresh_nonce().items()]

    async def check(self, token: str, jkt: str, shown: Sequence[str], method: str, path: str) -> None:
        """That whoever shows this token holds its key, proven for this request for the first time.

        Raises OAuthError invalid_token for a token that is not bound, and for a proof by another key.
        """
        if not jkt:
            raise OAuthError("invalid_token", "The token is not bound to a key.")
        proof = self.reader.read(shown, method, path, token)
        if proof is None:
            raise bad_proof("no proof")
        if proof.jkt != jkt:
            raise OAuthError("invalid_token", "The token is bound to another key.")
        if not await self.db.write(lambda tx: self._is_first(tx, proof)):
            raise bad_proof("shown before")

    async def _is_first(self, tx: AsyncSession, proof: Proof) -> bool:
        return await seen.once(tx, proof.digest, proof.ends_at, self.clock())
