"""A key on its way in: judged by its form, then by its provider, and only then sealed."""

from collections.abc import Awaitable, Callable

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.credential import key_problem
from broker.core.secret import Secret
from broker.providers.check import Verdict
from broker.providers.registry import Provider
from broker.store import credentials
from broker.store.tables import Credential, User
from broker.vault.credentials import add_credential, find_same, replace_credential
from broker.web.context import Web
from broker.web.foreign import clean

Check = Callable[[Provider, Secret], Awaitable[Verdict]]

MOST_NAME = 40


class KeyEntry:
    """Adds and replaces keys of one's own; what it gives back as text is why nothing was saved."""

    def __init__(self, web: Web, check: Check) -> None:
        self._web = web
        self._check = check

    async def add(self, user: User, provider: Provider, typed: str, name: str) -> Credential | str:
        key = await self._judge(user, provider, typed)
        if isinstance(key, str):
            return key
        now = self._web.clock()

        async def work(tx: AsyncSession) -> Credential:
            # Looked for again: the same form may have been sent twice while the provider was asked.
            return await self._same(tx, user, provider, key) or await add_credential(
                tx,
                self._web.vault,
                provider=provider.name,
                key=key,
                name=key_title(name),
                user_id=user.id,
                now=now,
                by=user.pseudonym,
                state="working",
            )

        return await self._web.db.write(work)

    async def replace(self, user: User, provider: Provider, credential_id: str, typed: str) -> str:
        """Empty once the new key has taken the old one's place."""
        key = await self._judge(user, provider, typed)
        if isinstance(key, str):
            return key
        now = self._web.clock()

        async def work(tx: AsyncSession) -> str:
            row = await credentials.load(tx, credential_id)
            if row is None or row.user_id != user.id or row.removed_at is not None:
                return "This key was removed meanwhile, so the new one was not saved"
            await replace_credential(tx, self._web.vault, row, key, now=now, by=user.pseudonym, state="working")
            return ""

        return await self._web.db.write(work)

    async def verdict(self, provider: Provider, key: Secret) -> Verdict:
        return await self._check(provider, key)

    async def _judge(self, user: User, provider: Provider, typed: str) -> Secret | str:
        if problem := key_problem(typed, provider.name, provider.label):
            return problem
        key = Secret(typed.strip())
        same = await self._web.db.read(lambda tx: self._same(tx, user, provider, key))
        if same is not None:
            return f"You already have this key here, as {key_title(same.name)}"
        match await self._check(provider, key):
            case "refused":
                return f"{provider.label} refused this key (401). Check that you copied all of it"
            case "unreachable":
                return f"{provider.label} did not answer, so the key was not saved. Try again"
            case "working":
                return key

    async def _same(self, tx: AsyncSession, user: User, provider: Provider, key: Secret) -> Credential | None:
        return await find_same(tx, self._web.vault, user_id=user.id, provider=provider.name, key=key)


def key_title(typed: str) -> str:
    """The name of a key as its owner gave it, on one line."""
    return clean(typed, MOST_NAME) or "Personal"
