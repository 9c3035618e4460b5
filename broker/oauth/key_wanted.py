"""A person wants every token of a grant bound to a key of the app's, so that a stolen one is of no use to a thief."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.oauth.fapi import must_prove
from broker.store import tokens
from broker.store.grant_tables import Grant
from broker.store.tables import Client


def is_bound_already(client: Client) -> bool:
    """Whether there is nothing to be wanted: this client gets no other tokens anyway."""
    return must_prove(client)


async def want_key(tx: AsyncSession, grant: Grant, now: int, *, wanted: bool, by: str) -> bool:
    """Tokens that are out and are not bound end at once; False where it was so before."""
    if bool(grant.dpop_required) == wanted:
        return False
    grant.dpop_required = int(wanted)
    tx.add(grant)
    await tx.flush()
    ended = await _end_unbound(tx, grant, now) if wanted else 0
    await record(tx, now, "grant.key_wanted" if wanted else "grant.key_not_wanted", by, grant.id, ended=ended)
    return True


async def _end_unbound(tx: AsyncSession, grant: Grant, now: int) -> int:
    client = await tx.get(Client, grant.client_id)
    if client is None or client.public:
        # Whoever has stolen such a refresh token could bind it to a key of their own; a confidential client's is no good
        # without its secret.
        await tokens.revoke_unbound_families(tx, grant.id, now)
    return await tokens.revoke_unbound(tx, grant.id, now)
