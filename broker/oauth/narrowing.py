"""What a token request may ask for: no more than the grant gives."""

from dataclasses import dataclass, replace

from broker.core.access import Access, narrow_all
from broker.core.clock import from_seconds, to_seconds
from broker.core.forms import Form
from broker.oauth.asked_details import bad_details, read_narrowing
from broker.oauth.issue import Caps, LiveAccess
from broker.store.tables import Client


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The caps of one access token, None when none are asked for, and the type that the client wants to be answered in."""

    caps: Caps | None
    details_type: str


def narrowed(form: Form, client: Client, live: list[LiveAccess], now: int, details_type: str) -> Narrowing:
    """`details_type` is what holds where the request has no details of its own; raises OAuthError (RFC 9396 §6)."""
    given = tuple(_with_durations(access, now) for access in live)
    asked = read_narrowing(form, client, given)
    if asked is None:
        return Narrowing(None, details_type)
    pairs = narrow_all(asked.accesses, given)
    if isinstance(pairs, str):
        raise bad_details(f"{pairs} is more than was granted")
    caps = {live[position].id: _with_end(element, live[position], now) for position, element in pairs}
    return Narrowing(caps, asked.type)


def _with_durations(access: LiveAccess, now: int) -> Access:
    """`expires_in` is compared with how long the access was given for in all."""
    return replace(access.granted, expires_in=to_seconds(access.ends_at) - to_seconds(access.created_at))


def _with_end(element: Access, access: LiveAccess, now: int) -> Access:
    """A duration counts from now, and ends with the access at the latest."""
    ends = access.granted.expires_at or 0
    if element.expires_at is not None:
        ends = min(ends, element.expires_at)
    if element.expires_in is not None:
        ends = min(ends, to_seconds(now + from_seconds(element.expires_in)))
    return replace(element, expires_in=None, expires_at=ends)
