"""A browser for tests: keeps cookies, follows redirects, reads pages, fills in forms as a person would."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
from starlette.types import ASGIApp

from tests.html import Form, Page, read_page

MOST_REDIRECTS = 8


@dataclass
class Browser:
    """One person's window on an app at `url`; `page` is what it shows, `seen` every answer on the way there."""

    client: httpx.AsyncClient
    url: str
    says_where_from: bool = True
    response: httpx.Response = field(default_factory=lambda: httpx.Response(200))
    page: Page = field(default_factory=lambda: read_page(""))
    seen: list[httpx.Response] = field(default_factory=list)
    elsewhere: str = ""
    """The address outside the app that it was sent to, if it was; nothing is fetched from there."""

    @classmethod
    def on(cls, app: ASGIApp, url: str, *, address: str = "127.0.0.1") -> Self:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
        return cls(httpx.AsyncClient(transport=transport, base_url=url), url)

    @property
    def path(self) -> str:
        """Path and query of what it shows."""
        return self.response.request.url.raw_path.decode() if self.seen else "/"

    @property
    def status(self) -> int:
        return self.response.status_code

    async def go(self, path: str) -> Page:
        return await self._follow(await self._send("GET", path))

    async def press(self, button: str, /, form: int | None = None, **typed: str | list[str]) -> Page:
        """Fills in fields by name and submits the form that has this button, found by its label."""
        chosen = self._form_with(button) if form is None else self.page.forms[form]
        return await self.submit(chosen, button, **typed)

    async def submit(self, form: Form, button: str, /, **typed: str | list[str]) -> Page:
        pairs = form.filled(button, typed)
        action = urljoin(self.path, form.action) if form.action else self.path
        if form.method == "get":
            return await self.go(f"{action.partition('?')[0]}?{urlencode(pairs)}")
        return await self.post(action, pairs)

    async def post(self, path: str, pairs: list[tuple[str, str]]) -> Page:
        """As a form of the page it shows would."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self.says_where_from:
            headers |= {"sec-fetch-site": "same-origin", "origin": self.url}
        answer = await self._send("POST", path, content=urlencode(pairs), headers=headers)
        return await self._follow(answer)

    async def follow(self, link: str) -> Page:
        """Presses a link, found by its text."""
        (href,) = {href for text, href in self.page.links if text == link}
        return await self.go(urljoin(self.path, href))

    async def close(self) -> None:
        await self.client.aclose()

    def _form_with(self, button: str) -> Form:
        found = [form for form in self.page.forms if any(each.label == button for each in form.buttons)]
        if len(found) != 1:
            labels = [each.label for form in self.page.forms for each in form.buttons]
            raise AssertionError(f"{len(found)} forms have a button {button!r}; there are {labels}")
        return found[0]

    async def _send(
        self, method: str, path: str, *, content: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        answer = await self.client.request(method, path, content=content, headers=headers)
        self.seen.append(answer)
        return answer

    async def _follow(self, answer: httpx.Response) -> Page:
        self.elsewhere = ""
        for _ in range(MOST_REDIRECTS):
            location = answer.headers.get("location")
            if answer.status_code not in (302, 303) or location is None:
                break
            target = urljoin(str(answer.request.url), location)
            if urlsplit(target).netloc != urlsplit(self.url).netloc:
                self.elsewhere = target
                break
            answer = await self._send("GET", target)
        self.response = answer
        self.page = read_page(answer.text)
        return self.page
