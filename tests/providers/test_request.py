"""What goes out is framed by us alone, and goes where an address says that only one reader can understand."""

import pytest

from broker.providers.origin import Origin, locate
from broker.providers.request import OURS, render


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://api.example/v1/x", Origin("https", "api.example", 443), b"/v1/x"),
        ("HTTP://API.Example:8080", Origin("http", "api.example", 8080), b"/"),
        ("http://[::1]:81/a?b=c:d", Origin("http", "::1", 81), b"/a?b=c:d"),
        ("http://api.example?x", Origin("http", "api.example", 80), b"/?x"),
        ("http://a/v1/../b//c%2e", Origin("http", "a", 80), b"/v1/../b//c%2e"),
    ],
)
def test_an_address_is_read(url: str, origin: Origin, target: bytes) -> None:
    assert locate(url) == (origin, target)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/", "http://", "http:///x", "http://u@a/", "http://u:p@a/", "http://a:0/", "http://a:65536/", "http://a:/",
        "http://a b/", "http://a/b c", "http://a/\r\nx", "http://a\\@b/", "http://a\t.b/", "http://a/#b", "http://ä/",
        "http://a/ä", "http://a/\x00", "//a/", "http://a/b\n",
    ],
)  # fmt: skip
def test_an_address_that_two_could_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        locate(url)


def test_a_request_is_one_piece_of_bytes() -> None:
    origin, request = render("POST", "http://a:81/b?c", [(b"x-key", b"secret value")], b"{}")
    assert origin == Origin("http", "a", 81)
    assert request == (
        b"POST /b?c HTTP/1.1\r\nhost: a:81\r\naccept-encoding: identity\r\nx-key: secret value\r\n"
        b"content-length: 2\r\n\r\n{}"
    )


def test_a_request_without_content_says_so_where_content_was_expected() -> None:
    assert b"\r\ncontent-length: 0\r\n\r\n" in render("POST", "http://a/", [])[1]
    assert b"content-length" not in render("GET", "http://a/", [])[1]
    assert b"\r\nhost: [::1]\r\n" in render("GET", "https://[::1]/", [])[1]


def test_the_body_may_hold_any_bytes() -> None:
    assert render("POST", "http://a/", [], b"\r\n\0")[1].endswith(b"content-length: 3\r\n\r\n\r\n\0")


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0", b"\n", b"a\r\n"])
def test_a_header_value_that_would_be_more_than_one_is_refused_and_not_repeated(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break or NUL") as refused:
        render("POST", "http://a/", [(b"x-key", value)])
    assert value.decode() not in str(refused.value)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", "ä".encode(), *sorted(OURS), b"Transfer-Encoding"])
def test_a_header_name_that_is_none_or_is_ours_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="not a header"):
        render("POST", "http://a/", [(name, b"x")])


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\n", "G\0"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="not a method"):
        render(method, "http://a/", [])
