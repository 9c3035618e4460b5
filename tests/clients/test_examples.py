"""Each example of docs/examples is followed as it stands, with OAuth clients that others wrote."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.clients.meeting import Meeting
from tests.serve.installation import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVICE = Path(__file__).parents[2] / "docs/how-to/service.md"


async def test_a_web_app_connects_refreshes_calls_and_leaves(meeting: Meeting) -> None:
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    client = await meeting.add_client("Notes", "--redirect-uri", f"{home}/callback", "--require-pushed")
    words = (meeting.broker, client["client_id"], str(port))
    async with (
        meeting.python("web_app.py", *words, CLIENT_SECRET=client["client_secret"]) as program,
        httpx.AsyncClient(base_url=home, trust_env=False, timeout=60) as http,
    ):
        assert await program.told("App") == home
        sent = (await http.get("/")).headers["location"]
        assert "authorization_details" not in sent
        back = await meeting.approve(sent, **{"access-0-budget": "2.00"})
        connected = (await http.get(back)).text
        (granted,) = json.loads(connected.removeprefix("Connected: "))
        assert granted["budget"]["amount"] == "2.00"
        assert (await http.get("/ask")).text == "Answer: Hello."
        assert (await http.get("/leave")).text == "Disconnected."


async def test_a_service_signs_for_tokens_of_the_grant_its_operator_gave_it(meeting: Meeting, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "1"})
    (tmp_path / "key.pem").write_bytes(key.as_pem(private=True))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    client = await meeting.add_client("Nightly", "--jwks", str(tmp_path / "jwks.json"))
    assert "client_secret" not in client
    add = ("grant", "add", "--user", "ana@example.com", "--client", client["client_id"], "--details", "-")
    # What the page about services grants, as it stands there: each day anew.
    (details,) = re.findall(r"^echo '(.*?)' \|$", SERVICE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    await asyncio.to_thread(lambda: meeting.place.json(*add, stdin=details))
    words = (meeting.broker, client["client_id"], str(tmp_path / "key.pem"))
    async with meeting.python("service.py", *words) as program:
        (granted,) = json.loads(await program.told("Granted"))
        assert granted["budget"] == {"amount": "5.00", "currency": "USD", "per": "day"}
        assert await program.told("Narrowed") == "0.01"
        assert await program.told("Answer") == "Hello."
        await program.ended()
