"""What an operator opens of the network inside: hosts by their names, addresses, networks."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?", re.ASCII)


def read_inside(words: Iterable[str]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Raises ValueError for what is neither a host nor a network."""
    hosts, networks = set(), []
    for word in words:
        try:
            networks.append(ip_network(word))
        except ValueError:
            name = word.lower()
            # One that ends with a figure would be read as an address by somebody.
            if not _NAME.fullmatch(name) or name[-1].isdigit():
                raise ValueError(f"{word!r} is no host name, no address and no network") from None
            hosts.add(name)
    return frozenset(hosts), tuple(networks)
