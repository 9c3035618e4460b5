"""Redirect addresses: one spelling, one reader."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.oauth.redirect_uri import fault, matches, with_answer

GOOD = [
    "https://notes.example/callback",
    "https://notes.example",
    "https://notes.example:8443/cb?tenant=a%20b",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:8000/cb",
    "http://[::1]:9/cb",
    "http://localhost:3000",
    "https://127.0.0.1/cb",
    "com.example.notes:/callback",
    "com.example.notes://callback",
]
BAD = [
    "",
    "callback",
    "//notes.example/cb",
    "https:notes.example/cb",
    "https:/notes.example/cb",
    "https:///cb",
    "https://",
    "https://good.example@evil.example/cb",
    "https://user:pw@good.example/cb",
    "http://localhost:80@evil.example/cb",
    "http://notes.example/cb",
    "http://localhost.evil.example/cb",
    "http://127.1/cb",
    "http://127.0.0.2/cb",
    "http://0.0.0.0/cb",
    "http://2130706433/cb",
    "http://LOCALHOST/cb",
    "http://[::ffff:7f00:1]/cb",
    "http://[0:0:0:0:0:0:0:1]/cb",
    "https://good.example\t.evil.example/cb",
    "https://good.example\\@evil.example/cb",
    "https://good.example\n/cb",
    " https://good.example/cb",
    "https://good.example/cb ",
    "https://good.example/cb#part",
    "https://good.example/cb#",
    "https://good.example/a/../cb",
    "https://good.example/./cb",
    "https://good.example/a/..",
    "https://good.example/%2e%2E/cb",
    "https://good.example/.%2e/cb",
    "https://good.example/%zz",
    "https://good.example/%",
    "https://good.example/cb?code=1",
    "https://good.example/cb?a=1&state=x",
    "https://good.example/cb?iss",
    "https://good.example:0/cb",
    "https://good.example:080/cb",
    "https://good.example:65536/cb",
    "https://good.example:99999999999999/cb",
    "https://good.example:/cb",
    "https://gööd.example/cb",
    "https://good.example/<script>",
    'https://good.example/"',
    "https://good.example/" + "x" * 2000,
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "intent://x#Intent;end",
    "notes:/callback",
    "myapp://callback",
    "ftp://good.example/cb",
    "com.example.notes:",
    "https.evil.example:/cb",
]


@pytest.mark.parametrize("uri", GOOD)
def test_an_address_with_one_reading_may_be_registered(uri: str) -> None:
    assert fault(uri) is None


@pytest.mark.parametrize("uri", BAD)
def test_any_other_address_is_refused(uri: str) -> None:
    assert fault(uri) is not None


@given(st.text(max_size=40) | st.from_regex(r"https?://[\x20-\x7e]{0,30}", fullmatch=True))
def test_what_may_be_registered_has_one_host_for_every_parser(uri: str) -> None:
    if fault(uri) is None and uri.startswith("http"):
        parts = urlsplit(uri)
        host = uri.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0]
        assert parts.netloc == host
        assert parts.username is None
        assert parts.hostname
        assert not parts.fragment


@given(st.sampled_from([uri for uri in GOOD if not uri.startswith("http://")]), st.text(max_size=5), st.integers(0, 60))
def test_one_character_more_anywhere_is_another_address(uri: str, more: str, place: int) -> None:
    changed = uri[:place] + more + uri[place:]
    assert matches(uri, changed) is (changed == uri)


@pytest.mark.parametrize(
    ("registered", "given_uri", "same"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:53123/cb", True),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1:53123/cb", True),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]/cb", "http://[::1]:53123/cb", True),
        ("http://localhost/cb", "http://localhost:53123/cb", True),
        ("http://localhost", "http://localhost:1", True),
        ("http://localhost/cb", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:70000/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80/cb/", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1:80/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", False),
        ("https://notes.example/cb", "https://notes.example:443/cb", False),
        ("https://127.0.0.1/cb", "https://127.0.0.1:444/cb", False),
    ],
)
def test_only_the_port_of_a_loopback_address_may_differ(registered: str, given_uri: str, same: bool) -> None:
    assert matches(registered, given_uri) is same


@pytest.mark.parametrize(
    ("uri", "answered"),
    [
        ("https://a.example/cb", "https://a.example/cb?code=c%26d&state=%20"),
        ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code=c%26d&state=%20"),
        ("https://a.example/cb?", "https://a.example/cb?code=c%26d&state=%20"),
        ("com.example.notes:/cb", "com.example.notes:/cb?code=c%26d&state=%20"),
    ],
)
def test_the_answer_is_added_to_the_query(uri: str, answered: str) -> None:
    assert with_answer(uri, {"code": "c&d", "state": " "}) == answered
