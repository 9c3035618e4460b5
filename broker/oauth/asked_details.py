"""What a client asks for in authorization_details, in whichever type it asks, read as accesses (RFC 9396)."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from broker.core.access import TPX_TYPE, TYPE, Access
from broker.core.details import BadDetails, parse_details, read_array
from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.strict_json import JSONValue
from broker.oauth import tpx
from broker.settings import Settings
from broker.store.tables import Client


def _nobody(_model: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What this installation can lend: the providers it knows, and by model id those that have a price for it."""

    knows: Callable[[str], bool]
    sellers: Callable[[str], tuple[str, ...]] = _nobody


@dataclass(frozen=True, slots=True)
class AskedDetails:
    type: str
    accesses: tuple[Access, ...]


def read_asked(form: Form, client: Client, settings: Settings, catalogue: Catalogue) -> AskedDetails:
    """Raises OAuthError invalid_authorization_details (RFC 9396 §5)."""
    raw = form.one("authorization_details")
    if raw is None:
        raise bad_details("authorization_details is required")
    try:
        elements, kind = _read(raw, client)
        accesses = tpx.read(elements, catalogue.sellers) if kind == TPX_TYPE else parse_details(elements)
    except BadDetails as error:
        raise bad_details(error.args[0]) from error
    for access in accesses:
        if not catalogue.knows(access.provider):
            raise bad_details("a provider is not known here")
        if access.locations is not None and set(access.locations) != {settings.resource}:
            raise bad_details("locations may only name the resource of this server")
    return AskedDetails(kind, accesses)


def read_narrowing(form: Form, client: Client, granted: tuple[Access, ...]) -> AskedDetails | None:
    """What a token request asks for, members absent where they are inherited; None where it has no details of its own.

    Raises OAuthError invalid_authorization_details (RFC 9396 §6).
    """
    raw = form.one("authorization_details")
    if raw is None:
        return None
    try:
        elements, kind = _read(raw, client)
        read = tpx.read_narrowing(elements, granted) if kind == TPX_TYPE else parse_details(elements, "token")
    except BadDetails as error:
        raise bad_details(error.args[0]) from error
    return AskedDetails(kind, read)


def bad_details(reason: str) -> OAuthError:
    """A reason that begins with the name of a member keeps it as it is written."""
    sentence = reason if "_" in reason.partition(" ")[0] else f"{reason[0].upper()}{reason[1:]}"
    return OAuthError("invalid_authorization_details", f"{sentence}.")


def _read(raw: str, client: Client) -> tuple[list[JSONValue], str]:
    """The elements and the one type they have; raises BadDetails."""
    elements = read_array(raw)
    types = [element.get("type") if isinstance(element, dict) else None for element in elements]
    kind = TPX_TYPE if types[0] == TPX_TYPE else TYPE
    if TPX_TYPE in types and any(one != TPX_TYPE for one in types):
        raise BadDetails("all objects of a request must have the same type")
    allowed = json.loads(client.details_types)
    if allowed and kind not in allowed:
        raise BadDetails("the type is not one that this client registered")
    return elements, kind
