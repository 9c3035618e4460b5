"""The first admin: made once, by whoever reads the setup code that the server printed."""

from base64 import b32encode

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import SYSTEM, record
from broker.core.handle import Entropy, digest, same, system_entropy
from broker.core.secret import Secret
from broker.identity.users import add_user
from broker.store import facts, users
from broker.store.tables import User

_FACT = "setup_code"
_BYTES = 10
_GROUP = 4


async def setup_code(tx: AsyncSession, now: int, entropy: Entropy = system_entropy) -> Secret | None:
    """A new code at each start while there is no admin, to be shown to the operator once; None afterwards."""
    if await users.any_admin(tx):
        await facts.erase(tx, _FACT)
        return None
    text = b32encode(entropy(_BYTES)).decode()
    await facts.save(tx, _FACT, digest(text))
    await record(tx, now, "setup.code_made", SYSTEM, "setup")
    return Secret("-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP)))


async def is_finished(tx: AsyncSession) -> bool:
    return await users.any_admin(tx)


async def current_proof(tx: AsyncSession) -> str | None:
    """What knowing the code of this start is worth remembering as: its digest; None while there is no code."""
    return await facts.load(tx, _FACT)


def is_code(typed: str, proof: str | None) -> bool:
    """Small letters, spaces and dashes do not matter."""
    plain = "".join(typed.split()).replace("-", "").upper()
    return proof is not None and same(digest(plain), proof)


async def make_first_admin(tx: AsyncSession, now: int, email: str, password_hash: str, proof: str) -> User | None:
    """None if there is an admin already, or if the code has changed since; raises EmailTaken."""
    known = await current_proof(tx)
    if known is None or not same(known, proof) or await users.any_admin(tx):
        return None
    user = await add_user(tx, now, email, password_hash, "admin")
    await facts.erase(tx, _FACT)
    await record(tx, now, "setup.finished", user.pseudonym, user.id)
    return user
