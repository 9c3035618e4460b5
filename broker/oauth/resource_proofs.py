"""Proofs of possession beside an access token (RFC 9449 §7): a token that is bound to a key is nothing without one."""

import asyncio
from collections.abc import Sequence

from broker.core.clock import Clock
from broker.core.errors import OAuthError, Unavailable
from broker.oauth.dpop import ShownBefore, bad_proof
from broker.oauth.jws import ALGORITHMS
from broker.oauth.proof_reader import ProofReader
from broker.oauth.replays import Replays
from broker.store.database import Database
from broker.store.group import Group
from broker.store.seen import Shown, remember
from broker.store.steps import run_steps


class ResourceProofs:
    """Proofs of calls that come at about the same time are remembered in one transaction."""

    algorithms: Sequence[str] = ALGORITHMS

    def __init__(self, db: Database, clock: Clock, reader: ProofReader) -> None:
        self._db = db
        self._clock = clock
        self.reader = reader
        self._replays = Replays(db, clock)
        self._group: Group[Shown, bool] = Group(lambda _: None, self._remember)

    def fresh_nonce(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode(), value.encode()) for name, value in self.reader.fresh_nonce().items()]

    async def check(self, token: str, jkt: str, shown: Sequence[str], method: str, path: str, *, grant_id: str) -> None:
        """That whoever shows this token of a grant holds its key, proven for this request for the first time.

        Raises OAuthError invalid_token for a token that is not bound, and for a proof by another key; or Unavailable.
        """
        if not jkt:
            raise OAuthError("invalid_token", "The token is not bound to a key.")
        proof = self.reader.read(shown, method, path, token)
        if proof is None:
            raise bad_proof("no proof")
        if proof.jkt != jkt:
            raise OAuthError("invalid_token", "The token is bound to another key.")
        if not await self._is_first(Shown(proof.digest, proof.ends_at)):
            await self._replays.note(grant_id, jkt)
            raise ShownBefore(proof)

    async def _is_first(self, shown: Shown) -> bool:
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(answer: bool | Exception) -> None:
            if told.done():
                return  # whoever asked has hung up
            if isinstance(answer, Exception):
                told.set_exception(answer)
            else:
                told.set_result(answer)

        self._group.ask(shown, tell)
        return await told

    async def _remember(self, batch: Sequence[Shown]) -> Sequence[bool | Unavailable]:
        return await self._db.write_core(lambda tx: run_steps(tx, remember(batch, self._clock())))
