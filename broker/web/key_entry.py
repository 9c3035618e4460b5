"""A key on its way in: judged by its form, then by its provider, and only then sealed."""

from collections.abc import Awaitable, Callable
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.credential import NO_KEY, key_problem
from broker.core.handle import new_handle
from broker.core.secret import Secret
from broker.oauth.throttle import Throttle, Throttled
from broker.providers.check import Verdict
from broker.providers.reach import NotReachable
from broker.providers.registry import Provider
from broker.store import credentials
from broker.store.tables import Credential, User
from broker.vault.credentials import add_credential, find_same, replace_credential
from broker.web.context import Web
from broker.web.foreign import clean

Check = Callable[[Provider, Secret], Awaitable[Verdict]]

MOST_NAME = 40
TOO_OFTEN = "Your servers were asked many times in this minute. Try again in the next one"
MOST_TRIES_A_MINUTE = 10
"""Of one person, to ask servers of their own."""


class KeyEntry:
    """Adds and replaces keys of one's own; what it gives back as text is why nothing was saved."""

    def __init__(self, web: Web, check: Check) -> None:
        self._web = web
        self._check = check
        self._tries = Throttle(MOST_TRIES_A_MINUTE, web.clock)

    def place(self, provider: Provider, typed: str) -> Provider | str:
        """The provider as a key for this address reaches it, or why no server can be there."""
        reach = self._web.registry.reach
        if not provider.is_brought or reach is None:
            return f"{provider.label} has an address of its own: leave this empty" if typed.strip() else provider
        try:
            return provider.at(reach.read(typed)) or provider
        except NotReachable as error:
            return str(error)

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
                base_url=_own_address(provider),
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
            kept = {"state": "working", "base_url": _own_address(provider)}
            await replace_credential(tx, self._web.vault, row, key, now=now, by=user.pseudonym, **kept)
            return ""

        return await self._web.db.write(work)

    async def verdict(self, user: User, provider: Provider, key: Secret) -> Verdict | Literal["not asked"]:
        """What people's own servers are asked is bounded: nobody may feel out other hosts from here."""
        if provider.is_brought:
            try:
                self._tries.admit(user.id)
            except Throttled:
                return "not asked"
        return await self._check(provider, key)

    async def _judge(self, user: User, provider: Provider, typed: str) -> Secret | str:
        wants_none = provider.is_brought and not typed.strip()
        key = Secret(new_handle(NO_KEY) if wants_none else typed.strip())
        if problem := key_problem(key.reveal(), provider.name, provider.label):
            return problem
        same = await self._web.db.read(lambda tx: self._same(tx, user, provider, key))
        if same is not None:
            return f"You already have this key here, as {key_title(same.name)}"
        match await self.verdict(user, provider, key):
            case "refused":
                return f"{provider.called} refused this key (401). Check that you copied all of it"
            case "not asked":
                return TOO_OFTEN
            case "unreachable":
                return f"{provider.called} did not answer, so the key was not saved. Try again"
            case "working":
                return key

    async def _same(self, tx: AsyncSession, user: User, provider: Provider, key: Secret) -> Credential | None:
        address = _own_address(provider)
        return await find_same(tx, self._web.vault, user_id=user.id, provider=provider.name, key=key, base_url=address)


def _own_address(provider: Provider) -> str:
    return provider.base_url if provider.is_brought else ""


def key_title(typed: str) -> str:
    """The name of a key as its owner gave it, on one line."""
    return clean(typed, MOST_NAME) or "Personal"
