"""The device's side by itself: how often it asks, what it believes, and what it takes for an end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from broker.cli.device_flow import Codes, NotGiven, Pace, Tokens, ask, wait_for_answer
from broker.cli.issuer import Issuer, Refused, Strange, Unreachable
from broker.core.secret import Secret

ADDRESS = "https://broker.example"
ENDPOINT = f"{ADDRESS}/oauth/token"
GIVEN: dict[str, Any] = {
    "access_token": "at",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "rt",
    "grant_id": "grt_1",
}
CODES: dict[str, Any] = {
    "device_code": "dev_1",
    "user_code": "WDJB-MJHT",
    "verification_uri": f"{ADDRESS}/device",
    "expires_in": 600,
}


@dataclass
class Clock:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def pace(self) -> Pace:
        return Pace(lambda: self.now, self.sleep)


def issuer(*answers: tuple[int, dict[str, Any]] | None) -> Issuer:
    """Answers in this order; None is a connection that breaks."""
    left: Iterator[tuple[int, dict[str, Any]] | None] = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        said = next(left)
        if said is None:
            raise httpx.ConnectError("broken", request=request)
        return httpx.Response(said[0], content=json.dumps(said[1]))

    return Issuer(ADDRESS, httpx.Client(transport=httpx.MockTransport(answer)))


def refusal(error: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": error}


def wait(clock: Clock, *answers: tuple[int, dict[str, Any]] | None) -> Tokens:
    codes = Codes(Secret("dev_1"), "WDJB-MJHT", f"{ADDRESS}/device", f"{ADDRESS}/device", 600, 5)
    return wait_for_answer(issuer(*answers), ENDPOINT, "cli_1", codes, clock.pace)


def test_it_asks_no_sooner_than_it_may_and_slower_for_good_once_told() -> None:
    clock, pending = Clock(), refusal("authorization_pending")
    tokens = wait(clock, pending, refusal("slow_down"), pending, (200, GIVEN))
    assert clock.slept == [5, 5, 10, 10]
    assert (tokens.access_token, tokens.grant_id) == (Secret("at"), "grt_1")


def test_a_broker_that_cannot_be_reached_is_asked_half_as_often() -> None:
    clock = Clock()
    wait(clock, None, (503, {}), (429, {"error": "x"}), (200, GIVEN))
    assert clock.slept == [5, 10, 20, 40]


@pytest.mark.parametrize(
    ("error", "line"),
    [("access_denied", "The request was denied."), ("expired_token", "Nobody answered in time. Start again.")],
)
def test_a_no_is_an_end(error: str, line: str) -> None:
    with pytest.raises(NotGiven, match=line):
        wait(Clock(), refusal(error))


def test_it_ends_by_itself_when_the_code_does() -> None:
    clock = Clock()
    with pytest.raises(NotGiven, match="Nobody answered"):
        wait(clock, *[refusal("authorization_pending")] * 200)
    assert clock.now < 600


def test_any_other_error_is_an_end_whose_words_cannot_command_a_terminal() -> None:
    with pytest.raises(Refused) as told:
        wait(Clock(), (400, {"error": "invalid_grant", "error_description": "Used.\x1b[2J\u202e"}))
    assert str(told.value) == f"{ADDRESS} refused: Used.[2J"


@pytest.mark.parametrize(
    "changed",
    [{"token_type": "DPoP"}, {"access_token": ""}, {"access_token": "a\nb"}, {"expires_in": 0}, {"expires_in": "1"}],
    ids=str,
)
def test_a_token_that_is_none_is_not_taken(changed: dict[str, Any]) -> None:
    with pytest.raises(Strange):
        wait(Clock(), (200, GIVEN | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"verification_uri": "https://elsewhere.example/device"},
        {"verification_uri_complete": "https://broker.example.evil/device"},
        {"user_code": "\x1b[2J"},
        {"device_code": 5},
        {"interval": -1},
    ],
    ids=str,
)
def test_codes_are_for_a_page_of_the_broker_itself(changed: dict[str, Any]) -> None:
    with pytest.raises(Strange):
        ask(issuer((200, CODES | changed)), f"{ADDRESS}/oauth/device_authorization", "cli_1", {}, "me")
    codes = ask(issuer((200, CODES)), f"{ADDRESS}/oauth/device_authorization", "cli_1", {}, "me")
    assert (codes.page_with_code, codes.interval) == (f"{ADDRESS}/device", 5)


@pytest.mark.parametrize(
    ("status", "metadata", "line"),
    [
        (404, {}, "is no broker"),
        (200, {"issuer": "https://other.example"}, "says that it is another issuer"),
        (200, {"issuer": f"{ADDRESS}/"}, "says that it is another issuer"),
        (200, {"issuer": ADDRESS, "token_endpoint": "https://evil.example/token"}, "sends you elsewhere"),
        (200, {"issuer": ADDRESS, "token_endpoint": 5}, "sends you elsewhere"),
    ],
)
def test_what_it_says_of_itself_is_believed_of_itself_only(status: int, metadata: dict[str, Any], line: str) -> None:
    with pytest.raises(Strange, match=line):
        issuer((status, metadata)).discover()


def test_an_answer_without_an_end_is_cut_off() -> None:
    def pour(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=(b"x" * 65_536 for _ in range(1 << 20)))

    poured = Issuer(ADDRESS, httpx.Client(transport=httpx.MockTransport(pour)))
    with pytest.raises(Strange, match="answers too much"):
        poured.discover()


def test_in_plain_http_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Issuer.at("http://127.0.0.1:1") as near:
        assert near.http.trust_env is False
        with pytest.raises(Unreachable):
            near.discover()
