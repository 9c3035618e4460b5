"""Every page that shows grants, keys or what they cost, and how long each takes."""

from time import perf_counter

from tests.browser import Browser
from tests.growth.seed import grant_id

ONE = f"/grants/{grant_id(0)}"

PAGES = (
    "/grants",
    "/grants/pause-all",
    ONE,
    f"{ONE}?days=7",
    f"{ONE}?days=90",
    f"{ONE}?show=refused",
    f"{ONE}?show=errors",
    f"{ONE}?before=1790000000000000",
    f"{ONE}/limits",
    f"{ONE}/revoke",
    "/keys",
    "/keys/crd_1/replace",
    "/keys/crd_1/remove",
)


async def seconds(browser: Browser, rounds: int) -> dict[str, float]:
    """The best time of each page, from the request to the last byte: what else the machine does only adds to it."""
    taken = {}
    for path in PAGES:
        times = []
        for _ in range(rounds + 1):
            begun = perf_counter()
            response = await browser.client.get(path)
            times.append(perf_counter() - begun)
            assert response.status_code == 200, path
        taken[path] = min(times)
    return taken
