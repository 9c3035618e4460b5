"""The address by which a file is sent without a token: signed, short-lived, and of no use for anything else."""

import pytest
from starlette.types import Scope

from broker.core.errors import CallRefused
from broker.proxy.authenticate import Principal
from broker.proxy.uploads import ENDS_IN, Uploads
from tests.turned_clock import TurnedClock

ADDRESS = "http://127.0.0.1:8080/proxy/google/upload/v1/files"
HEADERS = [
    (b"x-goog-upload-protocol", b"resumable"), (b"x-goog-upload-command", b"start"),
    (b"x-goog-upload-header-content-type", b"image/png"), (b"x-goog-upload-header-content-length", b"9"),
]  # fmt: skip
PRINCIPAL = Principal("tok_1", "grt_1")


def address(uploads: Uploads) -> str:
    head = uploads.begun(PRINCIPAL, "google", ADDRESS, HEADERS, b'{"file": {"displayName": "A"}}', 10**6)
    return dict(head.headers)[b"x-goog-upload-url"].decode()


def asking(url: str) -> Scope:
    return {"type": "http", "query_string": url.partition("?")[2].encode()}


def test_it_says_whose_it_is_and_of_what() -> None:
    uploads = Uploads(b"k" * 32, TurnedClock())
    upload = uploads.told(asking(address(uploads)), "google")
    assert upload is not None
    assert (upload.kind, upload.name, upload.size) == ("image/png", "A", 9)
    assert uploads.principal(upload)[:3] == ("tok_1", "grt_1", "")


def test_it_is_worth_nothing_elsewhere_later_or_changed() -> None:
    clock = TurnedClock()
    uploads = Uploads(b"k" * 32, clock)
    url = address(uploads)
    assert uploads.told(asking(url), "other") is None
    assert Uploads(b"j" * 32, clock).told(asking(url), "google") is None
    for at in (len(ADDRESS) + 15, url.index(".", len(ADDRESS)), url.index("&") - 2):
        assert uploads.told(asking(url[:at] + ("A" if url[at] != "A" else "B") + url[at + 1 :]), "google") is None
    for query in ("", "?upload_id=", "?upload_id=.", "?upload_id=a.b&upload_id=c.d", "?upload_id=" + "a" * 5_000):
        assert uploads.told(asking(ADDRESS + query), "google") is None
    clock.turn(ENDS_IN // 10**6 - 1)
    assert uploads.told(asking(url), "google") is not None
    clock.turn(1)
    assert uploads.told(asking(url), "google") is None


def test_a_token_that_is_bound_to_a_key_has_none() -> None:
    uploads = Uploads(b"k" * 32, TurnedClock())
    with pytest.raises(CallRefused, match="bound to a key"):
        uploads.begun(PRINCIPAL._replace(jkt="thumb"), "google", ADDRESS, HEADERS, b"{}", 10**6)


@pytest.mark.parametrize(
    ("body", "name"), [(b'{"file": {"source": "X"}}', "file.source"), (b'{"parent": "a"}', "parent")]
)
def test_a_field_that_is_not_known_is_refused_with_its_name(body: bytes, name: str) -> None:
    uploads = Uploads(b"k" * 32, TurnedClock())
    with pytest.raises(CallRefused, match=name) as refused:
        uploads.begun(PRINCIPAL, "google", ADDRESS, HEADERS, body, 10**6)
    assert refused.value.code == "not_boundable"
