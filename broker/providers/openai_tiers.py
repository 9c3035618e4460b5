"""OpenAI's service tiers with a price of their own: asked for by name, and believed only where the answer names them, too."""

from broker.core.strict_json import JSONValue, NotStrict, loads
from broker.core.usage import Usage
from broker.providers.dialect import Body, Endpoint, Meter, Reading
from broker.providers.registry import Provider
from broker.providers.sse import data_of

_NO_DEARER: dict[str, tuple[str, ...]] = {"flex": ("flex",), "priority": ("priority", "default", "flex")}
"""What may be told of a call that was held at a tier's price: a tier that costs less is booked at it, too."""


def own_tier(body: Body, provider: Provider) -> str:
    """Empty for the standard one."""
    asked = body.get("service_tier")
    return asked if provider.name == "openai" and isinstance(asked, str) and asked in _NO_DEARER else ""


def in_tier(reading: Reading, endpoint: Endpoint) -> Reading:
    return reading._replace(answered_by=Tiered(endpoint, reading.tier)) if reading.tier else reading


class Tiered:
    """Reads an answer as its endpoint does; one that was run in a dearer tier than was held has no usage that counts."""

    def __init__(self, endpoint: Endpoint, tier: str) -> None:
        self._endpoint = endpoint
        self._tier = tier

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        return self._endpoint.read(body, size, provider, path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        usage, is_absurd = self._endpoint.usage(answer)
        return (usage, is_absurd) if _is_told(answer, self._tier) else (None, True)

    def meter(self, *, wants_usage: bool) -> Meter:
        return TieredMeter(self._endpoint.meter(wants_usage=wants_usage), self._tier)


class TieredMeter:
    def __init__(self, meter: Meter, tier: str) -> None:
        self._meter = meter
        self.seen = meter.seen
        self._tier = tier
        self._told = False

    def concerns(self, events: bytes) -> bool:
        return True

    def read(self, event: bytes) -> bool:
        passes = self._meter.read(event)
        if b'"service_tier"' in event:
            try:
                self._told = _is_told(loads(data_of(event)), self._tier)
            except NotStrict:
                self._told = False
        if not self._told:
            self.seen.usage = None
        return passes

    def ending(self, error: bytes) -> bytes:
        return self._meter.ending(error)


def _is_told(said: JSONValue, tier: str) -> bool:
    if not isinstance(said, dict):
        return False
    response = said.get("response")
    told = response.get("service_tier") if isinstance(response, dict) else said.get("service_tier")
    return told in _NO_DEARER[tier]
