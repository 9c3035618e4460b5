"""Addresses that differ only in how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.oauth.spelling import normal

HOST = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5})?", fullmatch=True)
PATH = st.from_regex(r"(/[a-z0-9._~!$&'()*+,;=:@-]{0,8}){0,5}", fullmatch=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Broker.Example/a", "HTTPS://broker.example:443/a"),
        ("http://broker.example", "http://broker.example:80/"),
        ("http://broker.example:/", "http://broker.example"),
        ("http://b.example/%7euser/%2f", "http://b.example/~user/%2F"),
        ("http://b.example/a/b/c/./../../g", "http://b.example/a/g"),
        ("http://b.example/a/%2e%2e/b", "http://b.example/b"),
        ("http://b.example/../..", "http://b.example/"),
        ("http://b.example/a?x=1#y", "http://b.example/a"),
        ("http://b.example?x=1", "http://b.example/"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_one_address_has_one_spelling(one: str, other: str) -> None:
    assert normal(one) == normal(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://b.example/a", "http://b.example/a"),
        ("https://b.example/a", "https://b.example:8443/a"),
        ("https://b.example/a", "https://b.example/A"),
        ("https://b.example/a", "https://b.example/a/"),
        ("https://b.example/a/b", "https://b.example/a%2Fb"),
        ("https://b.example/%2541", "https://b.example/A"),
        ("https://b.example/a", "https://c.example/a"),
    ],
)
def test_other_addresses_stay_apart(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/a",
        "//b.example/a",
        "ftp://b.example/a",
        "https:/b.example",
        "https://",
        "https://me@b.example/",
        "https://me:you@b.example/",
        "https://b.example:port/",
        "https://b.example/%",
        "https://b.example/%zz",
        "https://b.example/ä",
        "https://b.example/a b",
        "https://b.example/\n",
        "https://b.example\\@c.example/",
        "https://b.example/\x00",
    ],
)
def test_what_is_no_http_address_has_no_spelling(address: str) -> None:
    assert normal(address) is None


@given(st.sampled_from(["http", "https"]), HOST, st.none() | st.integers(1, 65535), PATH, st.data())
def test_however_it_is_written_it_is_the_same(
    scheme: str, host: str, port: int | None, path: str, data: st.DataObject
) -> None:
    where = "" if port is None else f":{port}"
    address = normal(f"{scheme}://{host}{where}{path}")
    assert address is not None
    assert normal(address) == address
    spelled = "".join(data.draw(st.sampled_from(_spellings(character))) for character in path)
    shouted = data.draw(st.sampled_from([host, host.upper(), host.title()]))
    tail = data.draw(st.sampled_from(["", "?q=%41/..", "#f", "?a#b"]))
    assert normal(f"{scheme.upper()}://{shouted}{where}{spelled}{tail}") == address


def _spellings(character: str) -> list[str]:
    return [character, f"%{ord(character):02x}", f"%{ord(character):02X}"] if character.isalnum() else [character]


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = normal(text)
    assert found is None or normal(found) == found
