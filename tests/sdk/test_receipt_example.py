"""The example verifies a receipt as a person downloads it, and nothing that was changed."""

import asyncio
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import httpx

from tests.browser import Browser
from tests.fake_provider import answer_chat, fake_provider
from tests.serve.installation import Installation

EXAMPLE = Path(__file__).parents[2] / "docs/examples/verify_receipt.py"
WISH = (
    '[{"type":"ai_model_access","provider":"openai","models":["gpt-4o-mini"],"actions":["chat"],'
    '"budget":{"amount":"5.00","currency":"USD"}}]'
)


async def verify(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore", str(EXAMPLE), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    return process.returncode, out.decode(), said.decode()


async def approved(address: str, client_id: str, folder: Path) -> tuple[Path, Path]:
    """Approves, and downloads the receipt and the words of the page."""
    challenge = urlsafe_b64encode(sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    fields = {"response_type": "code", "client_id": client_id, "redirect_uri": "http://127.0.0.1/callback"}
    fields |= {"code_challenge": challenge, "code_challenge_method": "S256", "authorization_details": WISH}
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as http:
        browser = Browser(http, address)
        await browser.go(f"{address}/oauth/authorize?{urlencode(fields)}")
        await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
        await browser.press("Approve", None, **{"access-0-budget": "2.00"})
        (grant,) = {href for text, href in browser.page.links if text == "Manage this access"}
        page = await browser.go(grant)
        found = sorted({href for _, href in page.links if "/receipts/" in href}, key=len)
        files = (folder / "receipt.jwt", folder / "shown.txt")
        for href, file in zip(found, files, strict=True):
            file.write_bytes((await http.get(href)).content)
    return files


async def test_a_downloaded_receipt_verifies_and_a_changed_one_does_not(tmp_path: Path) -> None:
    async with fake_provider(answer_chat) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_OPENAI_BASE_URL": provider.url})
        await asyncio.to_thread(place.furnish)
        with place.serving() as server:
            receipt, shown = await approved(server.address, place.client_id, tmp_path)
            status, told, said = await verify(server.address, str(receipt), str(shown))
            assert (status, said) == (0, "")
            assert '"amount": "2.00"' in told
            shown.write_text(shown.read_text("utf-8").replace("$2.00", "$1.00"), "utf-8")
            status, _, said = await verify(server.address, str(receipt), str(shown))
            assert (status, said) == (1, "The page said something else.\n")
            head, body, signature = receipt.read_text().split(".")
            receipt.write_text(f"{head}.{body[:-3]}AAA.{signature}")
            status, told, said = await verify(server.address, str(receipt))
            assert (status, told) == (1, "")
            assert "BadSignature" in said
