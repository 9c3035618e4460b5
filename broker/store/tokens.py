"""Token families, refresh tokens by digest, and access tokens by jti."""

from sqlalchemy import func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.access import TYPE
from broker.core.handle import new_id
from broker.store import changes
from broker.store.grant_tables import AccessToken, Grant, RefreshToken, TokenFamily


async def open_family(
    tx: AsyncSession, grant: Grant, now: int, *, details_type: str = TYPE, dpop_jkt: str = ""
) -> TokenFamily:
    family = TokenFamily(
        id=new_id("fam"),
        grant_id=grant.id,
        client_id=grant.client_id,
        created_at=now,
        details_type=details_type,
        dpop_jkt=dpop_jkt,
    )
    tx.add(family)
    await tx.flush()
    return family


async def load_family(tx: AsyncSession, family_id: str) -> TokenFamily | None:
    return await tx.get(TokenFamily, family_id)


async def revoke_family(tx: AsyncSession, family_id: str, now: int) -> bool:
    """Ends every token of the family, access tokens among them; False if it was revoked before."""
    done = await tx.exec(
        update(TokenFamily)
        .where(col(TokenFamily.id) == family_id, col(TokenFamily.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    if done.rowcount != 1:
        return False
    await tx.exec(
        update(AccessToken)
        .where(col(AccessToken.family_id) == family_id, col(AccessToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    await changes.bump(tx)
    return True


async def add_refresh(tx: AsyncSession, token: RefreshToken) -> None:
    tx.add(token)
    await tx.flush()


async def load_refresh(tx: AsyncSession, digest: str) -> RefreshToken | None:
    return await tx.get(RefreshToken, digest)


async def rotate(tx: AsyncSession, digest: str, successor: str) -> bool:
    """Replaces a refresh token that is the newest; False if another request did so first.

    `rotated_at` stays empty until `rotation_committed`: only the winner knows when its COMMIT was done.
    """
    done = await tx.exec(
        update(RefreshToken)
        .where(col(RefreshToken.digest) == digest, col(RefreshToken.successor) == "")
        .values(successor=successor)
    )
    return bool(done.rowcount == 1)


async def was_used_after(tx: AsyncSession, token: RefreshToken) -> bool:
    """Whether a younger token of its family was used: its successor, or one that was given in the grace."""
    query = select(RefreshToken.digest).where(
        RefreshToken.family_id == token.family_id,
        or_(col(RefreshToken.digest) == token.successor, col(RefreshToken.created_at) > token.created_at),
        RefreshToken.successor != "",
    )
    return (await tx.exec(query.limit(1))).first() is not None


async def rotation_committed(tx: AsyncSession, digest: str, at: int) -> None:
    await tx.exec(
        update(RefreshToken)
        .where(col(RefreshToken.digest) == digest, col(RefreshToken.rotated_at).is_(None))
        .values(rotated_at=at)
    )


async def add_access(tx: AsyncSession, token: AccessToken) -> None:
    tx.add(token)
    await tx.flush()


async def load_access(tx: AsyncSession, jti: str) -> AccessToken | None:
    return await tx.get(AccessToken, jti)


async def hold_access(tx: AsyncSession, jti: str) -> AccessToken | None:
    """As `load_access`; whoever else wants it so waits until this transaction is over."""
    return (await tx.exec(select(AccessToken).where(AccessToken.jti == jti).with_for_update())).first()


async def live_children(tx: AsyncSession, jti: str, now: int) -> int:
    query = select(func.count()).where(AccessToken.parent_jti == jti, AccessToken.ends_at > now)
    return (await tx.exec(query.where(col(AccessToken.revoked_at).is_(None)))).one()


async def descended(tx: AsyncSession, grant_id: str, now: int) -> list[AccessToken]:
    """The tokens of a grant that were made out of others and have not ended, oldest first."""
    query = select(AccessToken).where(AccessToken.grant_id == grant_id, col(AccessToken.parent_jti).is_not(None))
    query = query.where(AccessToken.ends_at > now, col(AccessToken.revoked_at).is_(None))
    return list((await tx.exec(query.order_by(col(AccessToken.created_at), col(AccessToken.jti)))).all())


async def line_of(tx: AsyncSession, token: AccessToken) -> list[AccessToken]:
    """The token and all its parents, itself first."""
    line = [token]
    while (parent := line[-1].parent_jti) is not None:
        line.append(await tx.get_one(AccessToken, parent))
    return line


async def revoke_access(tx: AsyncSession, jti: str, now: int) -> bool:
    """False if there is no such token or it was revoked before."""
    done = await tx.exec(
        update(AccessToken)
        .where(col(AccessToken.jti) == jti, col(AccessToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    if done.rowcount != 1:
        return False
    await changes.bump(tx)
    return True


async def revoke_unbound(tx: AsyncSession, grant_id: str, now: int) -> int:
    """Ends the access tokens of a grant that anybody could show; how many they were."""
    done = await tx.exec(
        update(AccessToken)
        .where(col(AccessToken.grant_id) == grant_id, col(AccessToken.dpop_jkt) == "")
        .where(col(AccessToken.revoked_at).is_(None), col(AccessToken.ends_at) > now)
        .values(revoked_at=now)
    )
    await changes.bump(tx)
    return done.rowcount


async def revoke_unbound_families(tx: AsyncSession, grant_id: str, now: int) -> None:
    """Ends the refresh tokens of a grant that are bound to no key; `revoke_unbound` ends the access tokens."""
    await tx.exec(
        update(TokenFamily)
        .where(col(TokenFamily.grant_id) == grant_id, col(TokenFamily.dpop_jkt) == "")
        .where(col(TokenFamily.revoked_at).is_(None))
        .values(revoked_at=now)
    )


async def last_end(tx: AsyncSession, now: int) -> int:
    """When the last of the access tokens ends that live now; `now` where there are none."""
    query = select(func.max(AccessToken.ends_at)).where(col(AccessToken.revoked_at).is_(None))
    found = (await tx.exec(query)).one()
    return now if found is None else max(now, found)
