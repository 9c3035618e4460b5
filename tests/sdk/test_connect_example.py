"""The example of the README is followed as it stands: an OAuth client and an SDK that nobody here wrote."""

import ast
import asyncio
import json
import sys
from pathlib import Path

import httpx

from tests.browser import Browser
from tests.fake_provider import answer_chat, fake_provider
from tests.serve.installation import Installation

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "docs/examples/connect.py"
CALLBACK = "http://127.0.0.1/callback"


def test_the_readme_shows_the_example_that_is_tested() -> None:
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    body = EXAMPLE.read_text("utf-8").partition("import json")[2]
    assert body in readme


def test_the_example_does_not_give_up_on_a_busy_server_after_the_five_seconds_of_httpx() -> None:
    calls = [node for node in ast.walk(ast.parse(EXAMPLE.read_text("utf-8"))) if isinstance(node, ast.Call)]
    (client,) = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "OAuth2Client")
    (timeout,) = (word.value for word in client.keywords if word.arg == "timeout")
    assert ast.literal_eval(timeout) >= 30


async def test_an_app_connects_and_spends_what_was_left_of_its_wish(tmp_path: Path) -> None:
    async with fake_provider(answer_chat) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})
        await asyncio.to_thread(place.furnish)
        with place.serving() as server:
            words = [str(EXAMPLE), server.address, place.client_id, CALLBACK]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "ignore", *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            address = (await process.stdout.readline()).decode().removeprefix("Open ").strip()
            came_back_to = await _approve(server.address, address)
            told, _ = await process.communicate(came_back_to.encode() + b"\n")
    granted, answer = told.decode().splitlines()
    assert json.loads(granted.removeprefix("Granted "))[0]["budget"]["amount"] == "2.00"
    assert answer == "Answer Hello."


async def _approve(issuer: str, address: str) -> str:
    """Signs in, lowers $5.00 to $2.00 and approves; gives the address that the browser is sent back to."""
    async with httpx.AsyncClient(base_url=issuer, trust_env=False, timeout=60) as http:
        browser = Browser(http, issuer)
        await browser.go(address)
        await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
        await browser.press("Approve", None, **{"access-0-budget": "2.00"})
        (link,) = {href for text, href in browser.page.links if text.startswith("Continue to")}
    return link
