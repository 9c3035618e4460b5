"""A broker that serves, a provider behind it, a person who decides, and programs that others wrote as its clients."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.browser import Browser
from tests.fake_provider import FakeProvider, answer_chat, fake_provider
from tests.serve.installation import Installation

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "docs" / "examples"
FLOWS = Path(__file__).parent / "flows"
MODULES = EXAMPLES / "node_modules"
NODE = shutil.which("node")

needs_node = [
    pytest.mark.skipif(NODE is None, reason="no node here: install Node.js 20 or newer"),
    pytest.mark.skipif(not MODULES.is_dir(), reason="its modules are not here: run npm ci --prefix docs/examples"),
]


@dataclass
class Program:
    """One that runs: what it prints is read line by line."""

    process: asyncio.subprocess.Process

    async def told(self, word: str) -> str:
        """The rest of its next line, which begins with this word."""
        assert self.process.stdout is not None
        line = (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode().rstrip("\n")
        assert line.startswith(word), line + (await self.process.stdout.read()).decode()
        return line.removeprefix(word).strip()

    async def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def ended(self) -> str:
        """What else it says; it must have ended well."""
        told, _ = await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode == 0, told.decode()
        return told.decode()


@dataclass
class Meeting:
    place: Installation
    provider: FakeProvider
    broker: str

    async def add_client(self, name: str, *words: str) -> dict[str, str]:
        added: dict[str, str] = await asyncio.to_thread(self.place.json, "client", "add", name, *words)
        return added

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Browser]:
        """Somebody with a browser, who is asked to sign in first."""
        async with httpx.AsyncClient(base_url=self.broker, trust_env=False, timeout=60) as http:
            yield Browser(http, self.broker)

    async def approve(self, address: str, **fields: str) -> str:
        """Signs in, approves what is asked there, and gives the address that the browser is then sent to."""
        async with self.person() as browser:
            await browser.go(address)
            await sign_in(browser)
            await press_approve(browser, **fields)
            (link,) = {href for text, href in browser.page.links if text.startswith("Continue to")}
        return link

    @asynccontextmanager
    async def python(self, script: str, *words: str, **environ: str) -> AsyncIterator[Program]:
        async with _running(sys.executable, "-W", "ignore", str(EXAMPLES / script), *words, **environ) as program:
            yield program

    @asynccontextmanager
    async def node(self, script: Path, folder: Path, *words: str, **environ: str) -> AsyncIterator[Program]:
        """From a folder beside which its modules are: node looks for them where the script is."""
        (folder / "node_modules").symlink_to(MODULES)
        copied = shutil.copy(script, folder)
        async with _running("node", str(copied), *words, **environ) as program:
            yield program

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, **settings: str) -> AsyncIterator[Self]:
        async with fake_provider(answer_chat) as provider:
            place = Installation(folder, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url, **settings})
            await asyncio.to_thread(place.furnish)
            with place.serving() as server:
                yield cls(place, provider, server.address)


async def sign_in(browser: Browser) -> None:
    await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")


async def press_approve(browser: Browser, **fields: str) -> None:
    """As the page wants it: where nobody has checked the app, one says that one started this oneself."""
    form = browser._form_with("Approve")
    known = {"known": "1"} if any(field.name == "known" for field in form.fields) else {}
    await browser.submit(form, "Approve", **known, **fields)


@asynccontextmanager
async def _running(*command: str, **environ: str) -> AsyncIterator[Program]:
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=bare | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
