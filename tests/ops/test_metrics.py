"""Metrics: true figures, for the machine itself and whoever has the token."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from broker.core.secret import Secret
from broker.ops.metrics import KEPT_SECONDS, Metrics, rendered
from broker.settings import is_loopback
from broker.store.measures import Done, Measures
from broker.web.address import Addresses
from tests.turned_clock import TurnedClock

MEASURES = Measures(
    (
        Done("anthropic", 'odd"\\\nname', 1, 2, 3, 4),
        Done("openai", "gpt-4o-mini", 3, 30, 15, 2_500_000),
    ),
    {"active": 2, "revoked": 5},
    running=4,
    held=1_250_000,
)
LABELS = ("provider", "model", "direction", "state", "version")
TOKEN = "metrics-token-0123456789"


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in LABELS if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_written_is_read_as_it_was_meant() -> None:
    kind, raw = rendered(MEASURES, "1.2.3")
    assert kind.startswith("text/plain; version=0.0.4")
    assert values(raw.decode()) == {
        ("broker_calls_total", "anthropic", 'odd"\\\nname'): 1,
        ("broker_calls_total", "openai", "gpt-4o-mini"): 3,
        ("broker_tokens_total", "anthropic", 'odd"\\\nname', "input"): 2,
        ("broker_tokens_total", "anthropic", 'odd"\\\nname', "output"): 3,
        ("broker_tokens_total", "openai", "gpt-4o-mini", "input"): 30,
        ("broker_tokens_total", "openai", "gpt-4o-mini", "output"): 15,
        ("broker_cost_usd_total", "anthropic", 'odd"\\\nname'): 0.000004,
        ("broker_cost_usd_total", "openai", "gpt-4o-mini"): 2.5,
        ("broker_grants", "active"): 2,
        ("broker_grants", "revoked"): 5,
        ("broker_running_calls",): 4,
        ("broker_held_usd",): 1.25,
        ("broker_build_info", "1.2.3"): 1,
    }


class Asked:
    """The endpoint, and how often the database was."""

    def __init__(self, token: str = "", trusted: tuple[str, ...] = ()) -> None:
        self.times = 0
        self.clock = TurnedClock()
        addresses = Addresses(trusted)

        def is_from_here(request: Request) -> bool:
            return is_loopback(addresses(request))

        metrics = Metrics(self._read, self.clock, Secret(token), is_from_here, "1")
        self._app = Starlette(routes=[Route("/metrics", metrics.endpoint)])

    async def _read(self) -> Measures:
        self.times += 1
        return MEASURES

    async def __call__(self, peer: str = "127.0.0.1", **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(peer, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://broker.test") as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.get("/metrics", headers=sent)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.9.9.9"])
async def test_the_machine_itself_needs_no_token(peer: str) -> None:
    answer = await Asked()(peer)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "broker_calls_total" in answer.text


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", {}),
        ("2001:db8::1", {}),
        ("", {}),
        ("10.0.0.7", {"authorization": "Bearer"}),
        ("10.0.0.7", {"authorization": "Bearer "}),
        ("10.0.0.7", {"authorization": f"Bearer {TOKEN}x"}),
        ("10.0.0.7", {"authorization": f"Basic {TOKEN}"}),
        ("10.0.0.7", {"x_forwarded_for": "127.0.0.1"}),
        ("127.0.0.1", {"x_forwarded_for": "10.0.0.7"}),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=10.0.0.7"}),
        ("127.0.0.1", {"x_real_ip": "10.0.0.7"}),
    ],
)
async def test_others_are_told_nothing(peer: str, headers: dict[str, str], token: str) -> None:
    for trusted in ((), ("127.0.0.1",)):
        asked = Asked(token, trusted)
        answer = await asked(peer, **headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "broker_" not in answer.text
        assert asked.times == 0


async def test_whoever_has_the_token_may_be_anywhere() -> None:
    asked = Asked(TOKEN)
    assert (await asked("10.0.0.7", authorization=f"Bearer {TOKEN}")).status_code == 200
    assert (await asked("127.0.0.1", authorization=f"bearer {TOKEN}", x_forwarded_for="10.0.0.7")).status_code == 200


async def test_whoever_asks_often_asks_the_database_no_more_often_than_that() -> None:
    asked = Asked()
    for _ in range(5):
        await asked()
    assert asked.times == 1
    asked.clock.turn(KEPT_SECONDS)
    await asked()
    assert asked.times == 2
    asked.clock.turn(-60)
    await asked()
    assert asked.times == 3
