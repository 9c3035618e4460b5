"""A provider's token endpoint (RFC 6749 §3.2), asked as the client that this broker is there."""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple
from urllib.parse import quote_plus

from broker.core.secret import Secret
from broker.core.strict_json import NotStrict, loads_answer
from broker.providers.client import ProviderClient

LONGEST_ANSWER = 65_536
USUAL_SECONDS = 3600
"""How long an access token lives whose server does not say (RFC 6749 §5.1: expires_in is recommended only)."""
_MOST_SECONDS = 366 * 86_400
_LONGEST_TOKEN = 8192
_NOT_OF_WHAT_WAS_SHOWN = frozenset(
    ["invalid_client", "unauthorized_client", "temporarily_unavailable", "server_error", "slow_down"]
)
"""Errors of this broker as a client, or of the server: a refresh token that comes with them is as good as it was."""


class Endpoint(NamedTuple):
    url: str
    client_id: str
    secret: Secret | None


class Granted(NamedTuple):
    access_token: Secret
    refresh_token: Secret | None
    """None where the old one goes on being good."""
    expires_in: int
    """Seconds."""


class TokenRefused(Exception):
    """The server says no: what was shown to it is worth nothing, now or later."""


class TokenUnavailable(Exception):
    """No answer, or none that can be understood: it may be asked again."""


async def ask_token(client: ProviderClient, endpoint: Endpoint, form: Mapping[str, str]) -> Granted:
    """Raises TokenRefused or TokenUnavailable; nothing of what was sent or answered is in their texts."""
    # In a thread, the first time, so that no call waits for it; a server without such accounts never has it in memory.
    await asyncio.to_thread(import_module, "broker.providers.transport")
    from broker.providers.transport import FAILURES, ordinary, whole

    fields, auth = dict(form), None
    if endpoint.secret is None:
        fields["client_id"] = endpoint.client_id
    else:
        # RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
        auth = (quote_plus(endpoint.client_id), quote_plus(endpoint.secret.reveal()))
    said = {"accept": "application/json"}
    try:
        async with (
            ordinary(client) as http,
            http.stream("POST", endpoint.url, data=fields, auth=auth, headers=said) as answer,
        ):
            raw = await whole(answer, LONGEST_ANSWER)
    except FAILURES as error:
        raise TokenUnavailable(type(error).__name__) from None
    return _read(answer.status_code, raw)


def _read(status: int, raw: bytes) -> Granted:
    try:
        said = loads_answer(raw)
    except NotStrict:
        said = None
    if not isinstance(said, dict):
        raise TokenUnavailable(f"status {status}, not an object")
    error = said.get("error")
    if status in (400, 401, 403) and isinstance(error, str) and error not in _NOT_OF_WHAT_WAS_SHOWN:
        raise TokenRefused(f"status {status}")
    access, refresh, lasts = said.get("access_token"), said.get("refresh_token"), said.get("expires_in")
    if status != 200 or not _is_token(access) or not (refresh is None or _is_token(refresh)):
        raise TokenUnavailable(f"status {status}, no token")
    seconds = lasts if isinstance(lasts, int) and not isinstance(lasts, bool) and lasts > 0 else USUAL_SECONDS
    return Granted(Secret(str(access)), None if refresh is None else Secret(str(refresh)), min(seconds, _MOST_SECONDS))


def _is_token(value: object) -> bool:
    """What can stand in a header: RFC 6749 appendix A.12 allows no more."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_TOKEN
        and all("!" <= character <= "~" for character in value)
    )
