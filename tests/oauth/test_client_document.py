"""Clients that are named by the address of their document."""

from email.utils import formatdate
from typing import Any

import pytest

from broker.core.clock import DAY, MINUTE, SECOND
from broker.oauth.client_document import MAX_LENGTH, fresh_for, is_document, origin_of

HOUR = 60 * MINUTE
NOW = 1_763_760_000 * SECOND


@pytest.mark.parametrize(
    "client_id",
    ["https://notes.example/client.json", "https://notes.example/", "https://a.b-c.notes.example/a/b;v=1/%C3%BC"],
)
def test_an_https_address_with_a_path_names_a_document(client_id: str) -> None:
    assert is_document(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "cli_1", "", "https://notes.example", "http://notes.example/c", "HTTPS://notes.example/c", "https://NOTES.example/c",
        "https://notes.example:443/c", "https://notes.example:22/c", "https://user@notes.example/c",
        "https://good.example@evil.example/c", "https://good.example\\@evil.example/c", "https://good.example#@evil.example/c",
        "https://notes.example/c?x=1", "https://notes.example/c?", "https://notes.example/c#f", "https://notes.example/c#",
        "https://notes.example/./c", "https://notes.example/../c", "https://notes.example/a/..", "https://notes.example/%2e%2e/c",
        "https://notes.example/%2E/c", "https://notes.example/.%2E/c", "https://notes.example/%c3", "https://notes.example/%",
        "https://notes.example/a b", "https://notes.example/ü", "https://bücher.example/c", "https:///c", "https://./c",
        "https://localhost/c", "https://localhost./c", "https://notes.example./c", "https://127.0.0.1/c", "https://127.1/c",
        "https://2130706433/c", "https://0x7f000001/c", "https://[::1]/c", "https://notes.example/\n", "https://notes.example/c\r",
        "https://notes.example/" + "a" * MAX_LENGTH,
    ],
)  # fmt: skip
def test_anything_that_could_be_spelt_or_read_in_another_way_names_none(client_id: str) -> None:
    assert not is_document(client_id)


def test_what_is_proved_is_the_host() -> None:
    assert origin_of("https://notes.example/apps/client.json") == "https://notes.example"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({}, 5 * MINUTE),
        ({"cache-control": "max-age=3600"}, HOUR),
        ({"cache-control": "public, Max-Age=3600, must-revalidate"}, HOUR),
        ({"cache-control": 'max-age="3600"'}, HOUR),
        ({"cache-control": "max-age=3600", "age": "600"}, HOUR - 10 * MINUTE),
        ({"cache-control": "max-age=3600", "age": "x"}, HOUR),
        ({"cache-control": "max-age=1"}, 5 * MINUTE),
        ({"cache-control": "max-age=31536000"}, DAY),
        ({"cache-control": "max-age=99999999999999999999"}, 5 * MINUTE),
        ({"cache-control": "max-age=-1"}, 5 * MINUTE),
        ({"cache-control": "no-store"}, 5 * MINUTE),
        ({"cache-control": "no-cache, max-age=3600"}, 5 * MINUTE),
        ({"cache-control": "s-maxage=3600"}, 5 * MINUTE),
        ({"expires": formatdate(NOW / SECOND + 7200, usegmt=True)}, 2 * HOUR),
        ({"expires": formatdate(NOW / SECOND - 7200, usegmt=True)}, 5 * MINUTE),
        ({"expires": "0"}, 5 * MINUTE),
        ({"expires": "Thu, 99 Foo 99999 00:00:00 GMT"}, 5 * MINUTE),
        ({"cache-control": "max-age=600", "expires": formatdate(NOW / SECOND + 7200, usegmt=True)}, 10 * MINUTE),
    ],
    ids=str,
)
def test_a_document_is_kept_as_long_as_its_host_says_within_bounds(headers: dict[str, Any], kept: int) -> None:
    assert fresh_for(headers, NOW) == kept
