"""An unmodified client library, held to the FAPI 2.0 Security Profile."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from tests.clients.meeting import FLOWS, Meeting, needs_node

pytestmark = [*needs_node, pytest.mark.asyncio(loop_scope="session")]

CALLBACK = "https://bank.example/callback"


async def test_openid_client_signs_pushes_and_proves_its_key(meeting: Meeting, tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "1"})
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    held = ("--fapi2", "--jwks", str(tmp_path / "jwks.json"), "--redirect-uri", CALLBACK)
    client = await meeting.add_client("Ledger", *held)
    words = (meeting.broker, client["client_id"], str(tmp_path / "key.json"), CALLBACK)
    async with meeting.node(FLOWS / "fapi.mjs", tmp_path, *words) as program:
        await program.tell(await meeting.approve(await program.told("Open")))
        assert await program.told("Done") == ""
        await program.ended()
