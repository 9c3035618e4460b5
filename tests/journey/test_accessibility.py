"""Nobody is kept out: every page in every state, light and dark, on a wide screen and a narrow one."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import ConsoleMessage, Error, Page, Response, expect

from tests.chromium import COLOURS, Scheme, violations
from tests.journey import app_states, consent_states, device_states, entry_states  # noqa: F401 - they fill STATES
from tests.journey.cast import STATES, Cast, assemble
from tests.journey.place import IN_CHROMIUM, Place, make_as_new

pytestmark = IN_CHROMIUM

# Colours are judged in each look, all else once for each width: no rule but those of colours knows light from dark.
LOOKS: dict[int, dict[Scheme, list[str]]] = {
    1280: {"light": [], "dark": COLOURS},
    360: {"dark": [], "light": COLOURS},
}

# What a page says of itself. A tag beside a heading is no part of its text.
FACTS = """() => ({
  headings: [...document.querySelectorAll('h1')].map(h =>
    [...h.childNodes].filter(n => !n.classList?.contains('tag')).map(n => n.textContent).join('').trim()),
  language: document.documentElement.lang,
  mains: document.querySelectorAll('main').length,
  written_in: [...document.querySelectorAll('[style], style, script:not([src])')].map(e => e.outerHTML.slice(0, 200)),
  handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on')))
    .map(e => e.outerHTML.slice(0, 200)),
  small: [...document.querySelectorAll('button, input:not([type=hidden]), select, summary, a.btn')]
    .filter(e => e.checkVisibility())
    .filter(e => { const box = e.getBoundingClientRect();
      return box.width < 24 || box.height < (e.matches('.btn') ? 44 : 24); })
    .map(e => e.outerHTML.slice(0, 200)),
})"""

# Where the keyboard is: its place in the page, how thick the line around it is, and whether it is on the screen.
STOP = """() => {
  const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
  return [e === document.body ? 0 : [...document.querySelectorAll('*')].indexOf(e),
    style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth), box.bottom > 0 && box.top < innerHeight];
}"""

# WCAG 1.4.12: a reader may set the text this far apart.
SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('* { line-height:1.5!important; letter-spacing:.12em!important; word-spacing:.16em!important }'
    + 'p { margin-block-end:2em!important }');
  document.adoptedStyleSheets = [sheet];
}"""


@dataclass
class Troubles:
    """What the browser complained about."""

    heard: list[str] = field(default_factory=list)

    @contextmanager
    def of(self, page: Page) -> Iterator[None]:
        listeners: dict[Any, Any] = {"console": self._console, "pageerror": self._error, "response": self._response}
        for event, listener in listeners.items():
            page.on(event, listener)
        try:
            yield
        finally:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)

    def _error(self, error: Error) -> None:
        self.heard.append(str(error))

    def _console(self, message: ConsoleMessage) -> None:
        # The status of the page itself is part of some states; that of all else is looked at below.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.heard.append(message.text)

    def _response(self, response: Response) -> None:
        if response.status >= (500 if response.request.is_navigation_request() else 400):
            self.heard.append(f"{response.status} {response.url}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cast(place: Place) -> Cast:
    return await assemble(place)


@pytest_asyncio.fixture(loop_scope="session")
async def troubles() -> Troubles:
    return Troubles()


@pytest_asyncio.fixture(loop_scope="session")
async def page(cast: Cast, name: str, troubles: Troubles) -> AsyncIterator[Page]:
    person, opens = STATES[name]
    opened = await cast.place.page(cast.people[person])
    await make_as_new(opened)
    with troubles.of(opened):
        await opens(cast, opened)
        yield opened


async def is_too_wide(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize("name", STATES)
async def test_a_page_keeps_nobody_out(name: str, page: Page, troubles: Troubles) -> None:
    faults: dict[str, Any] = {}
    for width, schemes in LOOKS.items():
        await page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in schemes.items():
            await page.emulate_media(color_scheme=scheme)
            faults[f"{width} {scheme}"] = await violations(page, rules)
            faults[f"too wide at {width}, {scheme}"] = await is_too_wide(page)
    await page.set_viewport_size({"width": 320, "height": 800})
    faults["too wide at 320"] = await is_too_wide(page)
    facts = await page.evaluate(FACTS)
    await page.evaluate(SPACED)
    faults["too wide at 320, spaced"] = await is_too_wide(page)
    await page.set_viewport_size({"width": 360, "height": 800})
    faults["too wide at 360, spaced"] = await is_too_wide(page)

    (heading,) = facts.pop("headings")
    title = await page.title()
    if not re.fullmatch(rf"(Error: )?{re.escape(heading)} – .+", title):
        faults["title"] = (title, heading)
    assert (facts.pop("language"), facts.pop("mains")) == ("en", 1)
    assert {what: found for what, found in (faults | facts).items() if found} == {}
    assert troubles.heard == []


@pytest.mark.parametrize("name", ["app without calls", "consent"])
async def test_the_first_stop_of_the_keyboard_leads_past_the_head_of_the_page(name: str, page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("name", ["consent to any model", "app that reached its limit"])
async def test_each_stop_of_the_keyboard_is_seen_and_in_order(name: str, page: Page) -> None:
    await page.emulate_media(reduced_motion="reduce")  # a page that glides is still on its way when it is looked at
    stops = [0]
    while stops[-1] or len(stops) == 1:
        await page.keyboard.press("Tab")
        at, outline, is_inside = await page.evaluate(STOP)
        assert at == 0 or (outline >= 2 and is_inside), at
        stops.append(at)
        assert len(stops) < 100, "it is a trap"
    assert len(stops) > 8
    assert stops[:-1] == sorted(set(stops)), "the order of the page"
