"""A real browser for tests: Debian's chromium, or the one that CHROMIUM names."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

FOUND = os.environ.get("CHROMIUM") or shutil.which("chromium")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""Named, because axe-core leaves some rules of WCAG 2.2 out when it is told nothing."""

COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that a change between light and dark can break."""

# Null while axe-core is not in the page yet.
JUDGE = """async only =>
  'axe' in window ? (await axe.run({runOnly: only, resultTypes: ['violations']})).violations : null"""

Scheme = Literal["light", "dark"]

# Milliseconds until what is expected has to be there: a browser on a busy machine is no fault of the page.
expect.set_options(timeout=30_000)

needs_chromium = pytest.mark.skipif(FOUND is None, reason="no chromium here: install it, or name it in CHROMIUM")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=FOUND, chromium_sandbox=False, args=QUIET)
        yield browser
        await browser.close()


async def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe-core has against the page as it stands: the rule, and where. Without rules, by all of the tags."""
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
    found: list[Any] | None = await page.evaluate(JUDGE, only)
    if found is None:
        await page.evaluate(f"{AXE}; 0")
        found = await page.evaluate(JUDGE, only)
    assert found is not None, "axe-core is not in the page"
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]
