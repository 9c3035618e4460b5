"""broker key limit: what one user's apps may come to together on a key."""

from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR
from broker.cli.command import say, wrong
from broker.cli.desk import Desk, at_desk
from broker.cli.limit_options import Budget, PerOption, Requests, changed, in_words, terms_of
from broker.ledger import overall_limits
from broker.ledger.key_limits import save_key_limit
from broker.ledger.overall import key_scope
from broker.ledger.overall_limits import Terms
from broker.store import credentials
from broker.store.tables import Credential, User


def limit(
    credential_id: Annotated[str, typer.Argument(metavar="ID")],
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Whom of those that use a key of the operator's; else each.")
    ] = None,
    budget: Budget = None,
    requests: Requests = None,
    per: PerOption = None,
) -> None:
    """Limit what all apps of a user may spend on a key together."""
    if budget is None and requests is None and per is None:
        wrong("Say what to change: --budget, --requests or --per.")

    async def work(desk: Desk) -> Terms | None:
        person = None if user is None else await desk.user(user)

        async def write(tx: AsyncSession) -> Terms | None:
            row = await credentials.load(tx, credential_id)
            if row is None or row.removed_at is not None:
                wrong(f"There is no key {credential_id!r}.")
            scope = key_scope(_whose(row, person), row.id)
            before = await overall_limits.load(tx, "credential", scope)
            after = changed(terms_of(before), budget, requests, per)
            named = "" if person is None else person.pseudonym
            await save_key_limit(tx, desk.now(), scope, after, by=OPERATOR, user=named)
            return after

        return await desk.db.write(write)

    said = in_words(at_desk(work))
    say(f"{credential_id}: {said}." if said else f"{credential_id}: no limit.")


def _whose(row: Credential, person: User | None) -> str:
    """Of a user's own key there is no other user."""
    if row.user_id is None:
        return "" if person is None else person.id
    if person is not None and person.id != row.user_id:
        wrong("This key is another user's own, so nobody else uses it.")
    return row.user_id
