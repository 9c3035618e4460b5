"""Which addresses people's own servers may have: public ones, and what the operator opens of the network inside."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol
from urllib.parse import urlsplit

from broker.core.inside import Network, read_inside
from broker.core.public_address import is_public
from broker.providers.address import read_base_url
from broker.providers.fetch import is_public_name
from broker.providers.origin import Origin, locate

Address = IPv4Address | IPv6Address

EXAMPLE = "https://llm.example.com/v1"
MOST_CHARACTERS = 200
_LOWEST_PORT = 1024
_PATH = re.compile(r"[A-Za-z0-9/._~-]*", re.ASCII)
_TRANSLATED = IPv6Network("64:ff9b::/96")

# The services by which clouds tell a machine its own secrets; nobody's model is served there.
_NEVER = frozenset(map(ip_address, (
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
)))  # fmt: skip

# Where other things listen than a server of models: databases, caches, consoles and calls between machines.
_OTHERS = frozenset([
    1080, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2377, 2379, 2380, 3128, 3260, 3268, 3269, 3306, 3389, 3659,
    4045, 4190, 4369, 5060, 5061, 5432, 5433, 5672, 5671, 5900, 5984, 5985, 5986, 6000, 6379, 6380, 6443, 6566, 6665, 6666,
    6667, 6668, 6669, 6679, 6697, 8086, 8125, 8500, 9042, 9092, 9160, 9200, 9300, 10080, 10250, 10255, 11211, 15672, 26379,
    27017, 27018, 50000, 61613, 61616,
])  # fmt: skip


class Opened(Protocol):
    """What the settings say of it."""

    @property
    def user_servers(self) -> bool: ...
    @property
    def user_servers_inside(self) -> tuple[str, ...]: ...
    @property
    def public_url(self) -> str: ...
    @property
    def allowed_hosts(self) -> tuple[str, ...]: ...
    @property
    def port(self) -> int: ...


class NotReachable(ValueError):
    """Why an address may not be a person's own server, as a sentence for whoever typed it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator opens beside the public internet, and where this broker itself is: the host and the port."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    own_hosts: frozenset[str] = frozenset()
    own_port: int = 0

    @classmethod
    def of(cls, settings: Opened) -> "Reach | None":
        """None where the operator lets nobody bring a server."""
        if not settings.user_servers:
            return None
        hosts, networks = read_inside(settings.user_servers_inside)
        own = (settings.public_url, *(f"//{name}" for name in settings.allowed_hosts))
        own_hosts = frozenset(name for each in own if (name := urlsplit(each).hostname))
        return cls(hosts, networks, own_hosts, settings.port)

    @property
    def has_inside(self) -> bool:
        return bool(self.hosts or self.networks)

    def read(self, typed: str) -> str:
        """The address as it is kept: one spelling each, without /v1. Raises NotReachable; nothing is looked up."""
        base_url = read_base_url(typed.strip())
        try:
            origin, target = locate(base_url or "")
        except ValueError:
            origin, target = None, b""
        if origin is None or len(typed) > MOST_CHARACTERS or not _PATH.fullmatch(target.decode("ascii")):
            raise NotReachable(f"Enter the address of your server in plain letters, like {EXAMPLE}")
        self._judge(origin)
        path = target.decode("ascii").rstrip("/")
        return f"{origin.scheme}://{origin.authority.decode('ascii')}{path}"

    def admits(self, origin: Origin, text: str) -> bool:
        """Whether a connection may go to this very address, which the name of the host has led to."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if "%" in text:  # with a zone it equals none of those that it is compared with
            return False
        if any(each in _NEVER or each.is_unspecified or each.is_multicast for each in _meanings(address)):
            return False
        if self._is_inside(origin.host, address):
            return not (origin.port == self.own_port and is_here(address))
        return origin.scheme == "https" and is_public(text) and not is_here(address)

    def _judge(self, origin: Origin) -> None:
        host = origin.host
        opened = host in self.hosts or (is_literal(host) and self._is_inside(host, ip_address(host)))
        if host in self.own_hosts and not opened:
            raise NotReachable("This is the address of this server itself. Enter that of your own server")
        if not opened and not is_public_name(host) and not (is_literal(host) and is_public(host)):
            raise NotReachable("This is no address on the internet. Enter the whole name of its host")
        if origin.scheme != "https" and not opened and (is_literal(host) or not self.has_inside):
            raise NotReachable("The address must begin with https://, or your key could be read on its way")
        usual = 443 if origin.scheme == "https" else 80
        if origin.port != usual and (origin.port < _LOWEST_PORT or origin.port in _OTHERS):
            raise NotReachable(f"Port {origin.port} is one of other services. Enter an address without it")

    def _is_inside(self, host: str, address: Address) -> bool:
        return host in self.hosts or any(address in network for network in self.networks)


def is_literal(host: str) -> bool:
    """Whether it is an IP address in its one usual spelling."""
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def is_here(address: Address) -> bool:
    """Whether it is one of this machine's own; nothing is sent to find out."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return str(probe.getsockname()[0]) == str(address)
    except OSError:
        return False


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and an IPv4 address that is told in it."""
    yield address
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
        for told in (address.ipv4_mapped, address.sixtofour):
            if told is not None:
                yield told
