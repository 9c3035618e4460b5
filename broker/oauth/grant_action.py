"""What a request wants done with the grants there are: another one, or a change of one that it names (FAPI Grant Management)."""

from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.grant import LIVE
from broker.ledger.view import grant_state
from broker.store import grants
from broker.store.grant_tables import Grant, GrantRequest

ACTIONS = ("create", "merge", "replace")


class GrantAction(NamedTuple):
    """As asked: both empty where nothing was said."""

    action: str = ""
    grant_id: str = ""


def read_action(form: Form) -> GrantAction:
    """Raises OAuthError; only `create` stands without a grant_id, and nothing else is without one."""
    action, grant_id = form.text("grant_management_action"), form.text("grant_id")
    if action not in ("", *ACTIONS):
        raise OAuthError("invalid_request", "The grant_management_action must be create, merge or replace.")
    if grant_id and action in ("", "create"):
        raise OAuthError("invalid_request", "A grant_id belongs to a grant_management_action of merge or replace.")
    if not grant_id and action in ("merge", "replace"):
        raise OAuthError("invalid_request", "The grant_id is missing.")
    return GrantAction(action, grant_id)


async def require_named_grant(tx: AsyncSession, request: GrantRequest, now: int) -> None:
    """Raises OAuthError invalid_grant_id unless the grant that is to be changed is a live one of this client."""
    if request.asked_grant_id and await named_grant(tx, request, now) is None:
        raise OAuthError("invalid_grant_id", "The grant_id names no live grant of this client.")


async def named_grant(tx: AsyncSession, request: GrantRequest, now: int) -> Grant | None:
    """None for an unknown one, another client's, and one that has ended."""
    grant = await grants.load(tx, request.asked_grant_id)
    if grant is None or grant.client_id != request.client_id:
        return None
    is_live = grant_state(grant, await grants.load_accesses(tx, grant.id), now) in LIVE
    return grant if is_live else None
