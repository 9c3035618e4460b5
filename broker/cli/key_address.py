"""Where a key that is added goes: to its provider's address, or to the server that a person brings."""

from broker.cli.command import wrong
from broker.cli.desk import Desk
from broker.providers.known import BROUGHT
from broker.providers.reach import EXAMPLE, NotReachable
from broker.providers.registry import Provider


def place_of(desk: Desk, name: str, base_url: str | None, *, is_persons: bool) -> Provider:
    """The provider as the key reaches it."""
    if name == BROUGHT and desk.registry.get(name) is None:
        wrong("Nobody may bring a server of their own here: that takes BROKER_USER_SERVERS=true.")
    upstream, reach = desk.provider(name), desk.registry.reach
    if not upstream.is_brought or reach is None:
        if base_url is not None:
            wrong(f"{upstream.label} has an address of its own; --base-url is for keys for {BROUGHT}.")
        return upstream
    if not is_persons:
        wrong("A server of the operator's is a provider: add it with broker provider add.")
    if base_url is None:
        wrong(f"Say where the server is with --base-url, such as {EXAMPLE}.")
    try:
        placed = upstream.at(reach.read(base_url))
    except NotReachable as error:
        wrong(f"{error}.")
    return placed or upstream
