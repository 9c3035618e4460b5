"""The network address a request came from: X-Forwarded-For is believed only from a proxy of ours."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Network = IPv4Network | IPv6Network


class Addresses:
    """`trusted` are addresses or networks of the operator's own proxies."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._trusted: tuple[Network, ...] = tuple(ip_network(text, strict=False) for text in trusted)

    def __call__(self, request: Request) -> str:
        address = request.client.host if request.client is not None else ""
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        # Each proxy appends whom it heard from: from the right, the first that is not ours is the last to be believed.
        for hop in reversed(hops):
            if not self._is_ours(address) or not _is_address(hop.strip()):
                break
            address = hop.strip()
        return address

    def _is_ours(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
