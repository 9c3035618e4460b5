"""Which keys the operator lends for a grant, and in which order they are used."""

from collections.abc import Sequence
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.cli.command import wrong
from broker.store import credentials
from broker.store.grant_tables import STRATEGIES
from broker.store.tables import Credential, User

Strategy = Annotated[
    str, typer.Option(help=f"By which of several keys a call goes: {', '.join(STRATEGIES)}.", metavar="STRATEGY")
]


def read_strategy(text: str) -> str:
    """Also with dashes."""
    strategy = text.replace("-", "_")
    if strategy not in STRATEGIES:
        wrong(f"The strategy must be one of: {', '.join(STRATEGIES)}.")
    return strategy


async def choose_keys(tx: AsyncSession, person: User, provider: str, named: Sequence[str]) -> list[Credential]:
    """Those named that are of this provider, in the order named; else the person's only key, else the operator's."""
    own = [row for row in await credentials.of_user(tx, person.id) if row.provider == provider]
    operators = [row for row in await credentials.of_operator(tx) if row.provider == provider]
    if named:
        found = {row.id: row for row in [*own, *operators] if row.id in named}
        if not found:
            wrong(f"--credential must name a key for {provider} that is {person.email}'s or the operator's.")
        await _refuse_strangers(tx, person, named)
        return [found[each] for each in dict.fromkeys(named) if each in found]
    if len(own) > 1:
        wrong(f"{person.email} has several keys for {provider}: choose one with --credential ID.")
    if not own and not operators:
        wrong(f"There is no key for {provider}. Add one with: broker key add --provider {provider}")
    return [(own or operators)[0]]


async def _refuse_strangers(tx: AsyncSession, person: User, named: Sequence[str]) -> None:
    """Nobody else's key is ever lent, not even beside one that may be."""
    for credential_id in named:
        row = await credentials.load(tx, credential_id)
        if row is None or row.removed_at is not None or row.user_id not in (None, person.id):
            wrong(f"{credential_id!r} is not a key of {person.email} or of the operator.")
