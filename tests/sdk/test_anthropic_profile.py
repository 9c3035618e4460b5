"""A profile of the official anthropic SDK refreshes its token by itself, below the base address it was given."""

import asyncio
import json
import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from tests.browser import Browser
from tests.fake_anthropic import answer_messages
from tests.fake_provider import fake_provider
from tests.serve.installation import Installation

VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1/callback"
WISH = {"type": "ai_model_access", "provider": "anthropic", "models": ["claude-haiku-4-5"], "actions": ["chat"]}


async def connect(issuer: str, client_id: str) -> dict[str, Any]:
    """Tokens for what a person approved."""
    challenge = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([WISH]),
    }
    async with httpx.AsyncClient(base_url=issuer, trust_env=False, timeout=60) as http:
        browser = Browser(http, issuer)
        await browser.go(f"/oauth/authorize?{httpx.QueryParams(asked)}")
        await browser.press("Sign in", email="ana@example.com", password="violet-kettle-orbit-47")
        await browser.press("Approve", None)
        (link,) = {href for text, href in browser.page.links if text.startswith("Continue to")}
        form = {"grant_type": "authorization_code", "client_id": client_id, "code_verifier": VERIFIER}
        answer = await http.post("/oauth/token", data=form | {"code": httpx.URL(link).params["code"]})
    told: dict[str, Any] = answer.json()
    return told


def write_profile(folder: Path, base_url: str, client_id: str, tokens: dict[str, Any]) -> Path:
    """As a login leaves it, whose access token has expired since."""
    profile = {"authentication": {"type": "user_oauth", "client_id": client_id}, "base_url": base_url}
    kept = {"version": "1.0", "type": "oauth_token", "access_token": "spent", "expires_at": 1}
    for kind, content in (("configs", profile), ("credentials", kept | {"refresh_token": tokens["refresh_token"]})):
        (folder / kind).mkdir(parents=True, mode=0o700)
        (folder / kind / "default.json").write_text(json.dumps(content))
        (folder / kind / "default.json").chmod(0o600)
    return folder


async def test_a_profile_refreshes_and_keeps_the_refresh_token_that_replaced_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)
    async with fake_provider(answer_messages) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_ANTHROPIC_BASE_URL": provider.url})
        await asyncio.to_thread(place.furnish, "anthropic")
        with place.serving() as server:
            tokens = await connect(server.address, place.client_id)
            base_url = f"{server.address}/proxy/anthropic"
            folder = write_profile(tmp_path / "profile", base_url, place.client_id, tokens)
            monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(folder))
            async with anthropic.AsyncAnthropic(max_retries=0) as client:
                answered = await client.messages.create(
                    model="claude-haiku-4-5", max_tokens=50, messages=[{"role": "user", "content": "Hello"}]
                )
        crossed = {name.lower() for name, _ in provider.asked[-1].headers}
    assert answered.usage.output_tokens == 5
    kept = json.loads((folder / "credentials/default.json").read_text())
    assert kept["refresh_token"] not in ("", tokens["refresh_token"])
    assert "anthropic-beta" not in crossed
