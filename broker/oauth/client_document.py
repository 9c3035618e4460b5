"""A client that is named by the address of a document of its own (OAuth Client ID Metadata Document)."""

import re
from email.utils import parsedate_to_datetime

from broker.core.clock import DAY, MINUTE, SECOND
from broker.oauth.client_metadata import PUBLISHED, BadMetadata, ClientMetadata, read_metadata
from broker.providers.fetch import Fetched, NotFetched, is_fetchable

MOST_BYTES = 5_000
MAX_LENGTH = 500
ACCEPT = "application/json"
SHORTEST, LONGEST = 5 * MINUTE, DAY
"""How long a document may be taken for what it was when it was read, whatever its host says."""

_ADDRESS = re.compile(
    r"https://(?P<host>[a-z0-9.-]+)(?P<path>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*)", re.ASCII
)
_DOTS = re.compile(r"/(?:\.|%2E){1,2}(?:/|$)", re.ASCII)
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,9})\"?\s*(?:,|$)", re.IGNORECASE)
_ASKS_AGAIN = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:[,=]|$)", re.IGNORECASE)


def is_document(client_id: str) -> bool:
    """Whether it is the address of a document, in the one spelling that is taken: clients are told apart by it.

    No port, no user, no query, no fragment, no dot segments. A query would let one host name clients without end.
    """
    found = _ADDRESS.fullmatch(client_id) if len(client_id) <= MAX_LENGTH else None
    return found is not None and not _DOTS.search(found["path"]) and is_fetchable(client_id)


def origin_of(client_id: str) -> str:
    """All that its certificate proves."""
    return "/".join(client_id.split("/")[:3])


def read_document(client_id: str, fetched: Fetched) -> ClientMetadata:
    """Raises NotFetched for what is no document, BadMetadata for one that is not this client's or breaks a rule."""
    members = fetched.json()
    if not isinstance(members, dict):
        raise NotFetched("no JSON object")
    if members.get("client_id") != client_id:
        raise BadMetadata("The client_id in the document is another one")
    if "client_secret" in members or "client_secret_expires_at" in members:
        raise BadMetadata("A secret in a document that anybody may read")
    return read_metadata(members, PUBLISHED)


def fresh_for(headers: dict[str, str], now: int) -> int:
    """How long the host says that it may be kept (RFC 9111 §4.2), within our bounds; microseconds."""
    control = headers.get("cache-control", "")
    age = _MAX_AGE.search(control)
    said = SHORTEST
    if _ASKS_AGAIN.search(control):
        return SHORTEST
    if age is not None:
        said = int(age[1]) * SECOND
        past = headers.get("age", "")
        said -= int(past) * SECOND if past.isascii() and past.isdigit() and len(past) < 10 else 0
    elif "expires" in headers:
        said = _instant(headers["expires"]) - now
    return min(max(said, SHORTEST), LONGEST)


def _instant(text: str) -> int:
    """0 for what is no date: RFC 9111 §5.3 takes that for one in the past."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND
    except (ValueError, OverflowError):
        return 0
