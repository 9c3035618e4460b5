"""How whoever needs a client asks for it."""

from typing import Protocol

from broker.store.tables import Client


class FindClient(Protocol):
    async def __call__(self, client_id: str, *, asked_from: str) -> Client | None:
        """None for one that is unknown, or was removed. May ask the network; to be called outside of a transaction.

        `asked_from` is the network address that asks. Raises OAuthError where nobody can tell now.
        """
