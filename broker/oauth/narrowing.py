"""What a token request may ask for: no more than the grant gives."""

from dataclasses import replace

from broker.core.access import Access, narrow_all
from broker.core.clock import from_seconds, to_seconds
from broker.core.details import BadDetails, parse_details
from broker.core.forms import Form
from broker.oauth.issue import Caps, LiveAccess
from broker.oauth.request import bad_details


def read_caps(form: Form, live: list[LiveAccess], now: int) -> Caps | None:
    """The caps of one access token; None when none are asked for. Raises OAuthError (RFC 9396 §6)."""
    raw = form.one("authorization_details")
    if raw is None:
        return None
    try:
        asked = parse_details(raw, "token")
    except BadDetails as error:
        raise bad_details(error.args[0]) from error
    given = tuple(_with_durations(access, now) for access in live)
    pairs = narrow_all(asked, given)
    if isinstance(pairs, str):
        raise bad_details(f"{pairs} is more than was granted")
    return {live[position].id: _with_end(element, live[position], now) for position, element in pairs}


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
