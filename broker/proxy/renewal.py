"""Access tokens of providers renewed in time: by one process of all, while the others wait for what it gets."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import SYSTEM, record
from broker.core.clock import MINUTE, SECOND, Clock
from broker.core.credential import SealedKey
from broker.core.errors import BrokerError
from broker.core.handle import new_id
from broker.ops.log import logger
from broker.providers.client import ProviderClient
from broker.providers.token_endpoint import Endpoint, Granted, TokenRefused, TokenUnavailable, ask_token
from broker.store import credentials, oauth_tokens
from broker.store.database import Database
from broker.store.tables import Credential
from broker.vault.credentials import open_sealed, reseal_tokens
from broker.vault.oauth_providers import client_secret
from broker.vault.oauth_tokens import Tokens, unpack
from broker.vault.vault import Vault

log = logger("proxy")

AHEAD = 5 * MINUTE
"""How long before its end a token is renewed while nobody waits for it."""
NEAR = 10 * SECOND
"""With less than this left a call waits for the next one."""
TURN = 30 * SECOND
"""After which somebody else may try: whoever had the turn is dead."""
PATIENCE = 20.0
"""Seconds that a call waits."""
_PAUSE = 0.05


class _Turn(NamedTuple):
    """Whose turn it is, for what."""

    lease: str
    row: Credential
    tokens: Tokens
    endpoint: Endpoint


class Renewal:
    def __init__(self, db: Database, vault: Vault, client: ProviderClient, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._client = client
        self._clock = clock

    def is_due(self, key: SealedKey) -> bool:
        return key.expires_at != 0 and key.expires_at <= self._clock() + NEAR

    async def __call__(self, seen: SealedKey) -> SealedKey | None:
        """The credential after it: with other tokens than those seen, whoever got them; None where there are none to be had."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while loop.time() < until:
            turn = await self._db.write(lambda tx: self._turn(tx, seen))
            if isinstance(turn, _Turn):
                await self._take(turn)
            elif turn is not None:
                return turn if turn.version != seen.version else None
            else:
                await asyncio.sleep(_PAUSE)
        return None

    async def look(self) -> None:
        """Renews what ends soon; to be called now and then, by each process."""
        now = self._clock()
        for row in await self._db.read(lambda tx: oauth_tokens.expiring(tx, now + AHEAD, now)):
            turn = await self._db.write(partial(self._turn, seen=_sealed(row, 0)))
            if isinstance(turn, _Turn):
                with suppress(NotRenewed):
                    await self._take(turn)

    async def _turn(self, tx: AsyncSession, seen: SealedKey) -> "_Turn | SealedKey | None":
        """The turn; or the credential, where there is nothing more to be done; or None while it is another's turn."""
        row = await tx.get(Credential, seen.id, populate_existing=True)
        token = await oauth_tokens.token_of(tx, seen.id)
        if row is None or token is None or row.removed_at is not None:
            return seen
        if row.version != seen.version or token.lease == oauth_tokens.GIVEN_UP:
            return _sealed(row, token.expires_at)
        lease, now = new_id("lse"), self._clock()
        if not await oauth_tokens.claim(tx, row.id, lease, now, now + TURN):
            return None
        known, tokens = await oauth_tokens.settings_of(tx, row.provider), unpack(open_sealed(self._vault, row))
        if known is None or tokens is None or tokens.refresh is None:
            await self._refuse(tx, row, lease)
            return _sealed(row, token.expires_at)
        return _Turn(lease, row, tokens, Endpoint(known.token_url, known.client_id, client_secret(self._vault, known)))

    async def _take(self, turn: _Turn) -> None:
        refresh = turn.tokens.refresh
        form = {"grant_type": "refresh_token", "refresh_token": "" if refresh is None else refresh.reveal()}
        try:
            granted = await ask_token(self._client, turn.endpoint, form)
        except TokenRefused as error:
            log.warning("oauth.refused", credential=turn.row.id, detail=str(error))
            await self._db.write(lambda tx: self._refuse(tx, turn.row, turn.lease))
        except TokenUnavailable as error:
            log.warning("oauth.unavailable", credential=turn.row.id, detail=str(error))
            await self._db.write(lambda tx: oauth_tokens.give_back(tx, turn.row.id, turn.lease))
            raise NotRenewed from None
        else:
            await self._db.write(lambda tx: self._save(tx, turn, granted))

    async def _save(self, tx: AsyncSession, turn: _Turn, granted: Granted) -> None:
        """The new tokens, and that they are new, in one transaction."""
        now = self._clock()
        expires_at = now + granted.expires_in * SECOND
        if not await oauth_tokens.give_back(tx, turn.row.id, turn.lease, expires_at):
            return
        row = await tx.get(Credential, turn.row.id, populate_existing=True)
        if row is None or row.removed_at is not None or row.version != turn.row.version:
            return
        tokens = Tokens(granted.access_token, granted.refresh_token or turn.tokens.refresh, expires_at)
        reseal_tokens(self._vault, row, tokens, now)
        await record(tx, now, "credential.renewed", SYSTEM, row.id, provider=row.provider)

    async def _refuse(self, tx: AsyncSession, row: Credential, lease: str) -> None:
        """Its owner is told on their page of keys: only they can connect it again."""
        now = self._clock()
        await oauth_tokens.give_up(tx, row.id, lease)
        if await credentials.mark(tx, row, "refused", now):
            await record(tx, now, "credential.refused", SYSTEM, row.id, provider=row.provider)


class NotRenewed(BrokerError):
    """The provider's authorization server could not be asked."""


def _sealed(row: Credential, expires_at: int) -> SealedKey:
    return SealedKey(
        row.id, row.user_id, row.provider, row.source, row.sealed, row.version, row.state, row.removed_at, 0, expires_at,
        row.base_url,
    )  # fmt: skip
