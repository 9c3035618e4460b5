"""A refresh that is disturbed: by a signal, by a broker that is gone, by somebody who refreshed before."""

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.cli import profile
from broker.cli.issuer import Unreachable
from broker.cli.profile import ENOUGH, Profile
from broker.cli.renewal import YOUNG, renewed
from broker.core.secret import Secret

NOW = 1_800_000_000
ANSWER = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt-2"}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Of a broker that is not there, with a token that has just ended."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    secrets = (Secret("rt-1"), Secret("at-1"))
    address = "http://127.0.0.1:1"
    made = Profile("codex", "codex", address, "cli_1", "grt_1", f"{address}/oauth/token", *secrets, NOW - 3600, NOW)
    profile.keep(made)
    return made


@pytest.fixture
def interrupting(kept: Profile) -> Iterator[Profile]:
    """A broker that answers a refresh after Ctrl-C was pressed."""
    pressed_in = threading.main_thread().ident or 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            signal.pthread_kill(pressed_in, signal.SIGINT)
            body = json.dumps(ANSWER).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        there = replace(kept, issuer=address, token_endpoint=f"{address}/oauth/token")
        profile.keep(there)
        yield there
        server.shutdown()
        thread.join()


def test_nobody_is_ended_between_the_answer_and_the_disk(interrupting: Profile) -> None:
    with pytest.raises(KeyboardInterrupt):
        renewed(interrupting, lambda: NOW)
    now_kept = profile.load("codex")
    assert (now_kept.refresh_token, now_kept.access_token) == (Secret("rt-2"), Secret("at-2"))
    assert (now_kept.taken_at, now_kept.ends_at) == (NOW, NOW + 3600)


def test_a_broker_that_is_gone_leaves_the_token_that_still_has_time(kept: Profile) -> None:
    last_moment = kept.ends_at - 1
    assert not kept.lasts(last_moment)
    assert renewed(kept, lambda: last_moment) == kept
    with pytest.raises(Unreachable):
        renewed(kept, lambda: kept.ends_at)
    assert profile.load("codex") == kept


def test_what_somebody_else_refreshed_is_taken_without_asking(kept: Profile) -> None:
    newer = replace(kept, access_token=Secret("at-9"), taken_at=NOW, ends_at=NOW + 3600)
    profile.keep(newer)
    assert renewed(kept, lambda: NOW) == newer


@pytest.mark.parametrize(
    ("life", "age", "lasts"),
    [
        (3600, 0, True),
        (3600, 3600 - ENOUGH, True),
        (3600, 3600 - ENOUGH + 1, False),
        (60, 30, True),
        (60, 31, False),
        (3600, -1, False),
    ],
)
def test_a_token_is_handed_out_with_five_minutes_left_or_half_its_life(
    kept: Profile, life: int, age: int, lasts: bool
) -> None:
    assert replace(kept, taken_at=NOW - age, ends_at=NOW - age + life).lasts(NOW) is lasts


def test_a_young_token_is_believed_without_a_question(kept: Profile) -> None:
    young = replace(kept, taken_at=NOW - YOUNG + 1, ends_at=NOW + 3600)
    assert renewed(young, lambda: NOW) is young


def test_what_is_kept_is_read_back_as_it_was_and_shows_itself_to_nobody(kept: Profile) -> None:
    assert profile.load("codex") == kept
    assert "at-1" not in repr(kept)
    assert "rt-1" not in repr(kept)
    assert profile.names() == ["codex"]
