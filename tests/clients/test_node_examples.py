"""The examples in JavaScript are followed as they stand, with openid-client and oauth4webapi."""

import json
import re
from pathlib import Path

import pytest

from tests.clients.meeting import EXAMPLES, Meeting, needs_node, press_approve, sign_in

pytestmark = [*needs_node, pytest.mark.asyncio(loop_scope="session")]


async def test_a_program_without_a_browser_is_let_in_on_another_device(meeting: Meeting, tmp_path: Path) -> None:
    client = await meeting.add_client("Terminal", "--public")
    async with meeting.node(EXAMPLES / "cli.mjs", tmp_path, meeting.broker, client["client_id"]) as program:
        told = await program.told("Open")
        found = re.fullmatch(rf"{re.escape(meeting.broker)}(/device) and enter (.+)", told)
        assert found is not None, told
        async with meeting.person() as browser:
            await browser.go(found[1])
            await sign_in(browser)
            await browser.press("Continue", user_code=found[2])
            await press_approve(browser)
        (granted,) = json.loads(await program.told("Granted"))
        assert granted["budget"]["amount"] == "2.00"
        assert await program.told("Answer") == "Hello."
        assert await program.told("Given back") == ""
        await program.ended()


async def test_a_client_that_knows_nothing_but_an_address_finds_its_way(meeting: Meeting, tmp_path: Path) -> None:
    async with meeting.node(EXAMPLES / "mcp_client.mjs", tmp_path, f"{meeting.broker}/proxy") as program:
        assert await program.told("Registered")
        await program.tell(await meeting.approve(await program.told("Open")))
        (granted,) = json.loads(await program.told("Granted"))
        assert granted["models"] == ["gpt-4o-mini"]
        assert await program.told("Models") == "gpt-4o-mini"
        await program.ended()
