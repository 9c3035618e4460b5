"""Somebody's computer: programs that are connected to a broker somewhere else, and the person who approves."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.browser import Browser
from tests.serve.installation import Installation
from tests.serve.running import CHECKOUT


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def token(self) -> str:
        assert (self.status, self.err) == (0, ""), self.err
        return self.out.removesuffix("\n")


@dataclass
class Computer:
    """A home of its own; `broker` on it is a process each time."""

    home: Path
    place: Installation
    issuer: str
    settings: dict[str, str] = field(default_factory=dict)

    async def begin(self, *words: str, **pipes: Any) -> asyncio.subprocess.Process:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "XDG_", "COV"))}
        own = {"HOME": str(self.home), "PYTHONPATH": str(CHECKOUT), "TZ": "UTC", **self.settings}
        pipe = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | pipes
        command = (sys.executable, "-W", "error", "-m", "broker", *words)
        return await asyncio.create_subprocess_exec(*command, cwd=self.home, env=bare | own, **pipe)

    async def broker(self, *words: str) -> Said:
        """One that asks nobody."""
        process = await self.begin(*words)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return Said(process.returncode or 0, out.decode(), err.decode())

    async def connect(self, *words: str, button: str = "Approve", **fields: str) -> Said:
        """The person reads the code, and decides."""
        process = await self.begin("connect", *words, "--issuer", self.issuer)
        assert process.stderr is not None
        told = ""
        while "and enter" not in told:
            line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
            assert line, told
            told += line
        await answer(self.issuer, told.split()[-1], button, **fields)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return Said(process.returncode or 0, out.decode(), told + err.decode())

    async def grant(self, name: str) -> Any:
        """The grant of a connection as the operator sees it."""
        return await asyncio.to_thread(self.place.show, self.kept(name)["grant_id"])

    def file(self, name: str) -> Path:
        return self.home / ".config/broker" / f"{name}.json"

    def kept(self, name: str) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads(self.file(name).read_text())
        return kept

    def change(self, name: str, **members: object) -> None:
        """As time, or another program, could have left it."""
        self.file(name).write_text(json.dumps(self.kept(name) | members))

    def age(self, name: str, seconds: int) -> None:
        kept = self.kept(name)
        self.change(name, taken_at=kept["taken_at"] - seconds, ends_at=kept["ends_at"] - seconds)

    def status(self, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return httpx.get(f"{self.issuer}/proxy/status", headers=headers, trust_env=False, timeout=60).status_code


async def answer(issuer: str, user_code: str, button: str, **fields: str) -> None:
    async with httpx.AsyncClient(base_url=issuer, trust_env=False, timeout=60) as http:
        browser = Browser(http, issuer)
        await browser.go("/device")
        await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
        await browser.press("Continue", user_code=user_code)
        form = browser._form_with(button)
        known = {"known": "1"} if any(each.name == "known" for each in form.fields) else {}
        await browser.submit(form, button, **known, **fields)
