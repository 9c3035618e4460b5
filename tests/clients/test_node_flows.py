"""What openid-client and oauth4webapi can do, done with this server; each script ends where an answer is not as it must be."""

import asyncio
import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.clients.meeting import FLOWS, Meeting, needs_node
from tests.serve.installation import DETAILS

pytestmark = [*needs_node, pytest.mark.asyncio(loop_scope="session")]

CALLBACK = "https://notes.example/callback"


@pytest.mark.parametrize("method", ["basic", "post"])
async def test_openid_client_pushes_exchanges_narrows_looks_and_revokes(
    meeting: Meeting, tmp_path: Path, method: str
) -> None:
    client = await meeting.add_client(f"Notes by {method}", "--redirect-uri", CALLBACK)
    words = (meeting.broker, client["client_id"], client["client_secret"], CALLBACK)
    async with meeting.node(FLOWS / "openid_client.mjs", tmp_path, *words, METHOD=method) as program:
        await program.tell(await meeting.approve(await program.told("Open"), **{"access-0-budget": "2.00"}))
        assert await program.told("Done") == ""
        await program.ended()


async def test_oauth4webapi_registers_and_has_tokens_bound_to_its_key(meeting: Meeting, tmp_path: Path) -> None:
    async with meeting.node(FLOWS / "oauth4webapi.mjs", tmp_path, meeting.broker) as program:
        await program.tell(await meeting.approve(await program.told("Open")))
        assert await program.told("Done") == ""
        await program.ended()


async def test_openid_client_signs_for_a_service(meeting: Meeting, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "1"})
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    client = await meeting.add_client("Hourly", "--jwks", str(tmp_path / "jwks.json"))
    add = ("grant", "add", "--user", "ana@example.com", "--client", client["client_id"], "--details", "-")
    await asyncio.to_thread(lambda: meeting.place.json(*add, stdin=json.dumps([DETAILS])))
    words = (meeting.broker, client["client_id"], str(tmp_path / "key.json"))
    async with meeting.node(FLOWS / "service.mjs", tmp_path, *words) as program:
        assert await program.told("Done") == ""
        await program.ended()


async def test_an_app_that_speaks_llm_inference_is_answered_in_its_words(meeting: Meeting, tmp_path: Path) -> None:
    async with meeting.node(FLOWS / "tpx.mjs", tmp_path, meeting.broker) as program:
        await program.tell(await meeting.approve(await program.told("Open"), **{"access-0-budget": "0.50"}))
        assert await program.told("Done") == ""
        await program.ended()
