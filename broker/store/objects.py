"""What is kept at providers, by the digest of its id there: nobody finds it but the grant that made it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.handle import digest
from broker.store.object_tables import ProviderObject


def digest_of(provider: str, kind: str, remote_id: str) -> str:
    return digest(f"{provider}\x1f{kind}\x1f{remote_id}")


async def load(tx: AsyncSession, digests: Iterable[str], grant_id: str, now: int) -> Sequence[ProviderObject]:
    """Those of them that this grant made and that the provider still keeps."""
    query = select(ProviderObject).where(col(ProviderObject.digest).in_(list(digests)))
    rows = (await tx.exec(query.where(ProviderObject.grant_id == grant_id))).all()
    return [row for row in rows if row.ends_at is None or row.ends_at > now]


async def keep(tx: AsyncSession, made: ProviderObject) -> bool:
    """Again, of the same grant, it only tells more of it. False for one that another grant made: it stays that one's."""
    known = await tx.get(ProviderObject, made.digest)
    if known is None:
        tx.add(made)
        return True
    if known.grant_id != made.grant_id:
        return False
    known.tokens = made.tokens if made.tokens is not None else known.tokens
    return True


async def forget(tx: AsyncSession, digests: Iterable[str], grant_id: str) -> None:
    gone = delete(ProviderObject).where(col(ProviderObject.digest).in_(list(digests)))
    await (await tx.connection()).execute(gone.where(col(ProviderObject.grant_id) == grant_id))


async def begin(tx: AsyncSession, digest: str, grant_id: str, facts: str, mine: str) -> bool:
    """Has the next call wait for this one's end; False where what is written of it is not `facts` any more."""
    row = update(ProviderObject).where(col(ProviderObject.digest) == digest, col(ProviderObject.grant_id) == grant_id)
    taken = row.where(col(ProviderObject.facts).in_((facts, mine))).values(facts=mine, tokens=None)
    return bool((await (await tx.connection()).execute(taken)).rowcount)


async def end(tx: AsyncSession, digest: str, mine: str, facts: str, tokens: int | None, model: str) -> None:
    """Of the call that began it, once."""
    row = update(ProviderObject).where(col(ProviderObject.digest) == digest, col(ProviderObject.facts) == mine)
    model_too = {"model": model} if model else {}
    ended = row.where(col(ProviderObject.tokens).is_(None)).values(facts=facts, tokens=tokens, **model_too)
    await (await tx.connection()).execute(ended)
