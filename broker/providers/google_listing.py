"""Lists of what is kept at Google, of which the app sees its own."""

from broker.providers.dialect import Body, Listed, Reading
from broker.providers.kept_requests import About, asking
from broker.providers.paging import SIZE, USUAL_PAGE
from broker.providers.registry import Provider

LONGEST = 100
"""As much as Google gives at once."""


class ListOwn(About):
    """`under` is the member of the answer that has them."""

    def __init__(self, kind: str, action: str, under: str) -> None:
        super().__init__(asking("GET", action), "google")
        self._kind = kind
        self._under = under

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        place, _, query = path.partition("?")
        asked = query.removeprefix(f"{SIZE}=")
        most = int(asked) if asked.isdigit() else USUAL_PAGE
        read = super().read(body, size, provider, f"{place}?{SIZE}={LONGEST}")
        return read._replace(lists=Listed(self._kind, most, self._under, "name"))
