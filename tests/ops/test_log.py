"""The log: one JSON line an event, and no secret in it, however it got there."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from broker.core.errors import Unavailable
from broker.core.handle import new_handle, new_id
from broker.core.secret import Secret
from broker.ops import log

HANDLE = new_handle("sec")
JWT = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    log.configure(stream)
    yield stream
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _only(written: io.StringIO) -> dict[str, Any]:
    (line,) = written.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_an_event_is_one_json_line_with_time_level_and_part(written: io.StringIO) -> None:
    log.logger("serve").info("worker\nended", status=1, line="a\nb")
    entry = _only(written)
    assert (entry["event"], entry["part"], entry["level"], entry["status"]) == ("worker\nended", "serve", "info", 1)
    assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "secret",
    ["sk-ant-api03-" + "x" * 24, "AIza" + "B" * 35, HANDLE, JWT, "gsk_" + "Ab1" * 17, "deadbeef" * 8],
    ids=["key", "google key", "handle", "token", "long key", "hex"],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(written: io.StringIO, secret: str) -> None:
    log.logger("x").warning(f"got {secret}", value=secret, nested={"deep": [f"a {secret} b"]}, thing=(secret,))
    assert secret not in written.getvalue()
    assert log.MASK in written.getvalue()


def test_what_is_named_like_a_secret_is_masked_whatever_it_looks_like(written: io.StringIO) -> None:
    log.logger("x").info("odd", password="short", client_secret="1", headers={"Authorization": "x"}, cookie="y")
    entry = _only(written)
    assert entry["password"] == entry["client_secret"] == entry["cookie"] == log.MASK
    assert entry["headers"] == {"Authorization": log.MASK}


def test_an_identifier_is_not_masked(written: io.StringIO) -> None:
    grant_id = new_id("grt")
    log.logger("x").info("revoked", grant=grant_id)
    assert _only(written)["grant"] == grant_id


def test_a_secret_prints_nothing(written: io.StringIO) -> None:
    log.logger("x").info("odd", value=Secret("open sesame"))
    assert _only(written)["value"] == "<secret>"


def test_of_an_exception_the_type_and_place_are_told_and_never_its_message(written: io.StringIO) -> None:
    try:
        raise ValueError("the password is open sesame")
    except ValueError:
        log.logger("x").error("broke", exc_info=True)
    entry = _only(written)
    assert entry["error"] == "ValueError"
    assert entry["raised_at"][-1].endswith("test_of_an_exception_the_type_and_place_are_told_and_never_its_message")
    assert "sesame" not in written.getvalue()


def test_the_detail_of_our_own_errors_is_for_the_log(written: io.StringIO) -> None:
    log.logger("x").error("broke", exc_info=Unavailable(detail="database is locked"))
    assert _only(written)["detail"] == "database is locked"


def test_libraries_are_heard_in_the_same_shape_from_warning_on(written: io.StringIO) -> None:
    logging.getLogger("httpx").info("GET https://example.com/?key=1")
    logging.getLogger("httpx").warning("odd answer for %s", HANDLE)
    entry = _only(written)
    assert (entry["part"], entry["level"]) == ("httpx", "warning")
    assert HANDLE not in entry["event"]


def test_a_log_that_nobody_reads_breaks_nothing() -> None:
    stream = io.StringIO()
    log.configure(stream)
    stream.close()
    log.logger("x").error("said into the void")
