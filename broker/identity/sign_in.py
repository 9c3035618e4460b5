"""Signing in: the same answer after the same work, whether the person, the password or both are wrong."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import SYSTEM, record
from broker.core.clock import Clock
from broker.core.secret import Secret
from broker.identity.passwords import Passwords
from broker.identity.throttle import Admitted, Throttle, Wait
from broker.store import users
from broker.store.database import Database
from broker.store.tables import User


class Wrong:
    """Email or password is not right, or the user is disabled: nobody is told which."""


class SignIn:
    def __init__(self, db: Database, clock: Clock, passwords: Passwords, throttle: Throttle) -> None:
        self._db = db
        self._clock = clock
        self._passwords = passwords
        self._throttle = throttle

    async def __call__(self, email: str, password: Secret, address: str) -> User | Wrong | Wait:
        """`address` is the network address that the try came from."""
        person = email.strip().lower()[:1024]
        now = self._clock()
        admitted = await self._db.write(lambda tx: self._throttle.admit(tx, now, person=person, address=address))
        if isinstance(admitted, Wait):
            return admitted
        user = await self._db.read(lambda tx: users.by_email(tx, person))
        enabled = user is not None and user.disabled_at is None
        right = await self._passwords.verify(user.password_hash if user is not None and enabled else None, password)
        return await self._db.write(lambda tx: self._close(tx, user, admitted, right=right))

    async def _close(self, tx: AsyncSession, user: User | None, admitted: Admitted, *, right: bool) -> User | Wrong:
        if user is not None and right:
            await admitted.forget(tx)
            return user
        who, what = (SYSTEM, "unknown") if user is None else (user.pseudonym, user.id)
        await record(tx, self._clock(), "sign_in.failed", who, what)
        return Wrong()
