"""Which client is calling: none for a public client, client_secret_basic or client_secret_post for a confidential one."""

from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import unquote_plus

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.handle import digest, same
from broker.core.secret import Secret
from broker.store import clients
from broker.store.tables import Client

METHODS = ("none", "client_secret_basic", "client_secret_post")

_NOBODY = digest("nobody's secret")
"""Compared with when there is no such client, so that the answer takes as long."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says about its client, not yet believed."""

    client_id: str
    secret: Secret | None
    basic: bool


def read_client(authorization: list[str], form: Form) -> Presented:
    """Raises OAuthError: one method a request, and one client id whichever way it is said."""
    client_id, secret = form.one("client_id"), form.one("client_secret")
    if not authorization:
        if client_id is None:
            raise _refused(basic=False, detail="no client at all")
        return Presented(client_id, None if secret is None else Secret(secret), basic=False)
    if secret is not None or form.one("client_assertion") is not None:
        # RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
        raise OAuthError("invalid_request", "The client must authenticate in one way only.")
    if len(authorization) > 1:
        raise _refused(basic=True, detail="several Authorization headers")
    named, given = _basic(authorization[0])
    if client_id is not None and client_id != named:
        raise _refused(basic=True, detail="another client_id in the body")
    return Presented(named, Secret(given) if given else None, basic=True)


async def authenticate(tx: AsyncSession, presented: Presented) -> Client:
    """Raises OAuthError invalid_client, the same for each reason."""
    client = await clients.load(tx, presented.client_id)
    expected = client.secret_digest if client is not None and not client.public else _NOBODY
    is_right = same(digest("" if presented.secret is None else presented.secret.reveal()), expected)
    if client is not None and client.public:
        is_right = presented.secret is None
    if client is None or not is_right:
        raise _refused(basic=presented.basic, detail="unknown client, or its secret is not right")
    return client


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        name, colon, password = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        if not colon:
            raise ValueError(header)
        # RFC 6749 §2.3.1: both are form-encoded before they are put together.
        return unquote_plus(name, errors="strict"), unquote_plus(password, errors="strict")
    except ValueError:
        raise _refused(basic=True, detail="an Authorization header that is not Basic") from None


def _refused(*, basic: bool, detail: str) -> OAuthError:
    return OAuthError("invalid_client", "Client authentication failed.", status=401, basic=basic, detail=detail)
