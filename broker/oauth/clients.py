"""Registering a client: its name, its addresses, its secret."""

import json
import re
import unicodedata
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.core.errors import BrokerError
from broker.core.handle import digest, new_handle, new_id
from broker.core.secret import Secret
from broker.oauth import redirect_uri
from broker.oauth.client_keys import read_registered
from broker.oauth.fapi import contradiction, profile_of
from broker.oauth.jws import BadKey
from broker.store import clients
from broker.store.tables import Client

MAX_NAME = 80
MAX_URIS = 20

_ORIGIN = re.compile(r"https://[a-z0-9.-]+(?::[1-9][0-9]{0,4})?", re.ASCII)
_LOCAL_ORIGIN = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::[1-9][0-9]{0,4})?", re.ASCII)
_ADDRESS = re.compile(rf"(?:{_ORIGIN.pattern}|{_LOCAL_ORIGIN.pattern})(?:/[A-Za-z0-9._~/%-]*)?", re.ASCII)
_NO_NAME = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control, invisible and direction-changing characters, with which one name can be made to look like another."""


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What is asked of a client beyond the rest; one with keys authenticates by its signature and has no secret."""

    jwks: str = ""
    """A key set, JSON."""
    jwks_uri: str = ""
    require_pushed: bool = False
    dpop_bound: bool = False
    fapi2: bool = False


class BadClient(BrokerError):
    """A registration that is refused; the description is one line for the operator."""


async def register_client(
    tx: AsyncSession,
    now: int,
    name: str,
    *,
    public: bool,
    redirect_uris: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
    address: str = "",
    verified: bool = True,
    safeguards: Safeguards = Safeguards(),
) -> tuple[Client, Secret | None]:
    """The client, and its secret where it has one, which is shown once; raises BadClient."""
    name = name.strip()
    _check(name, redirect_uris, origins, address)
    signs = bool(safeguards.jwks or safeguards.jwks_uri)
    secret = None if public or signs else Secret(new_handle("sec"))
    client = Client(
        id=new_id("cli"),
        name=name,
        public=int(public),
        auth_method="none" if public else "private_key_jwt" if signs else "client_secret",
        secret_digest="" if secret is None else digest(secret.reveal()),
        redirect_uris=json.dumps(redirect_uris),
        origins=json.dumps(origins),
        address=address,
        verified=int(verified),
        created_at=now,
        jwks=safeguards.jwks,
        jwks_uri=safeguards.jwks_uri,
        require_pushed=int(safeguards.require_pushed),
        dpop_bound=int(safeguards.dpop_bound),
        fapi2=int(safeguards.fapi2),
    )
    _check_safeguards(client)
    await clients.add(tx, client)
    await record(tx, now, "client.added", OPERATOR, client.id, public=public, verified=verified)
    return client, secret


def registered_uris(client: Client) -> tuple[str, ...]:
    return tuple(json.loads(client.redirect_uris))


def may_use(client: Client, grant_type: str) -> bool:
    """Whether its registration, and what it is held to, have this grant type; one that names none has all."""
    named, allowed = json.loads(client.grant_types), profile_of(client).grant_types
    return (not named or grant_type in named) and (not allowed or grant_type in allowed)


def _check_safeguards(client: Client) -> None:
    if client.public and (client.jwks or client.jwks_uri):
        raise BadClient("A public client has no keys.")
    try:
        found = contradiction(client, read_registered(client.jwks, client.jwks_uri))
    except BadKey as error:
        raise BadClient(f"The keys are refused: {error}.") from error
    if found is not None:
        raise BadClient(f"The client is refused: {found}.")


def is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and not any(unicodedata.category(character) in _NO_NAME for character in text)


def _check(name: str, redirect_uris: tuple[str, ...], origins: tuple[str, ...], address: str) -> None:
    if not is_name(name):
        raise BadClient(f"The name must have 1 to {MAX_NAME} characters, none of them invisible.")
    if len(redirect_uris) > MAX_URIS or len(origins) > MAX_URIS:
        raise BadClient(f"A client has at most {MAX_URIS} redirect addresses and origins.")
    for uri in redirect_uris:
        found = redirect_uri.fault(uri)
        if found is not None:
            raise BadClient(f"The redirect address {uri!a} is refused: {found}.")
    for origin in origins:
        if not _ORIGIN.fullmatch(origin) and not _LOCAL_ORIGIN.fullmatch(origin):
            raise BadClient(f"The origin {origin!a} must be https://host, or http:// on this computer.")
    if address and not _ADDRESS.fullmatch(address):
        raise BadClient(f"The address {address!a} must be https://…, or http:// on this computer.")
