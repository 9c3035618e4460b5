"""Requests about what is kept at a provider: they run no model, have no body and cost nothing."""

from urllib.parse import parse_qs

from broker.core.strict_json import JSONValue
from broker.core.usage import NO_USAGE, Usage
from broker.providers.dialect import Body, Listed, Meter, Name, Reading, Seen
from broker.providers.registry import Provider

_USUAL_LIST = 20


class NoMeter:
    """Of what is never a stream."""

    def __init__(self) -> None:
        self.seen = Seen()

    def concerns(self, events: bytes) -> bool:
        return False

    def read(self, event: bytes) -> bool:
        return True

    def ending(self, error: bytes) -> bytes:
        return error


class About:
    """A request that is read without its body, which it does not have."""

    def __init__(self, reading: Reading, provider: str) -> None:
        self._reading = reading
        self._provider = provider

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        """Other servers of the same dialect keep things in ways that are not known here."""
        if provider.name != self._provider:
            return self._reading._replace(unbounded="What is kept at this provider is not known here.")
        return self._reading._replace(target=path)

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        return NO_USAGE, False

    def meter(self, *, wants_usage: bool) -> Meter:
        return NoMeter()


class AboutMany(About):
    """A list, of which the provider gives as much as it gives at once, and the app gets its own."""

    def __init__(self, reading: Reading, provider: str, cursors: tuple[str, ...], longest: int) -> None:
        super().__init__(reading, provider)
        self._cursors = cursors
        self._longest = longest

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        place, _, query = path.partition("?")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        read = super().read(body, size, provider, place)
        kind = read.lists.kind if read.lists else ""
        after = {name: asked[name] for name in self._cursors if name in asked}
        more = "".join(f"&{name}={value}" for name, value in after.items())
        return read._replace(
            target=f"{place}?limit={self._longest}{more}",
            names=tuple(Name(kind, value) for value in after.values()),
            lists=Listed(kind, int(asked.get("limit", _USUAL_LIST))),
        )


def asking(method: str, action: str, *names: Name) -> Reading:
    return Reading(
        model="",
        action=action,
        extra_actions=frozenset(),
        streamed=False,
        wants_usage=True,
        own_output=1,
        choices=1,
        covers_reasoning=True,
        input_bound=1,
        unbounded="",
        render=lambda _: b"",
        target="",
        is_free=True,
        method=method,
        names=names,
        deletes=method == "DELETE",
    )
