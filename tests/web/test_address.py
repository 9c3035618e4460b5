"""Whose word is taken for where a request came from."""

import pytest
from starlette.requests import Request

from broker.web.address import Addresses


def _request(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", ["1.2.3.4"], "203.0.113.7"),
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4, 10.9.9.9"], "1.2.3.4"),
        ("10.0.0.1", ["evil"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, evil"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("testclient", ["1.2.3.4"], "testclient"),
    ],
)
def test_only_our_own_proxies_are_believed(peer: str, forwarded: list[str], address: str) -> None:
    assert Addresses(("10.0.0.0/8",))(_request(peer, *forwarded)) == address


def test_without_proxies_nobody_is_believed() -> None:
    assert Addresses(())(_request("10.0.0.1", "1.2.3.4")) == "10.0.0.1"


def test_a_request_from_nowhere_has_an_empty_address() -> None:
    assert Addresses(())(Request({"type": "http", "client": None, "headers": []})) == ""
