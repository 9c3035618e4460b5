"""Metrics in Prometheus' text format: read from the database, so that every process tells the same."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.clock import SECOND, Clock
from broker.core.secret import Secret
from broker.store.measures import Measures

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PATH = "/metrics"
KEPT_SECONDS = 5
"""However often it is asked, the sums are not worked out more often than this."""

_FRESH = {"cache-control": "no-store"}
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Metrics:
    """For this machine alone, and for whoever shows the operator's token."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Measures]],
        clock: Clock,
        token: Secret,
        is_from_here: Callable[[Request], bool],
        version: str,
    ) -> None:
        self._read = read
        self._clock = clock
        self._token = token.reveal()
        self._is_from_here = is_from_here
        self._version = version
        self._kept: tuple[int, Measures] | None = None

    async def endpoint(self, request: Request) -> Response:
        """401 for everybody else; raises Unavailable while the database does not answer."""
        if not self._may(request):
            body = {"error": "invalid_token", "error_description": "Metrics are for this machine, or with the token."}
            return JSONResponse(body, 401, {**_FRESH, "www-authenticate": "Bearer"})
        now = self._clock()
        if self._kept is None or not 0 <= now - self._kept[0] < KEPT_SECONDS * SECOND:
            self._kept = now, await self._read()
        kind, body_text = rendered(self._kept[1], self._version)
        return Response(body_text, headers=_FRESH, media_type=kind)

    def _may(self, request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if self._token and scheme.lower() == "bearer" and compare_digest(shown.strip().encode(), self._token.encode()):
            return True
        # A proxy beside us is on this machine, too: whoever it speaks for is not.
        return self._is_from_here(request) and not any(name in request.headers for name in _PASSED_ON)


def rendered(measures: Measures, version: str) -> tuple[str, bytes]:
    """The media type, and the text."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    class Collector:
        def collect(self) -> Iterable["Metric"]:
            return _families(measures, version)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)


def _families(measures: Measures, version: str) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    calls = CounterMetricFamily("broker_calls", "Calls that ran and have ended.", labels=["provider", "model"])
    tokens = CounterMetricFamily("broker_tokens", "Tokens they used.", labels=["provider", "model", "direction"])
    cost = CounterMetricFamily("broker_cost_usd", "What they cost, in dollars.", labels=["provider", "model"])
    for done in measures.done:
        where = [done.provider, done.model]
        calls.add_metric(where, done.calls)
        tokens.add_metric([*where, "input"], done.input_tokens)
        tokens.add_metric([*where, "output"], done.output_tokens)
        cost.add_metric(where, done.cost / 1_000_000)
    yield from (calls, tokens, cost)
    grants = GaugeMetricFamily("broker_grants", "Grants, by state.", labels=["state"])
    for state, count in sorted(measures.grants.items()):
        grants.add_metric([state], count)
    yield grants
    yield GaugeMetricFamily("broker_running_calls", "Calls that run now.", value=measures.running)
    yield GaugeMetricFamily("broker_held_usd", "What is held for them, in dollars.", value=measures.held / 1_000_000)
    build = GaugeMetricFamily("broker_build_info", "1, with the version.", labels=["version"])
    build.add_metric([version], 1)
    yield build
