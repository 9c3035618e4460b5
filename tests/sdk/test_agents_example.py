"""The example of docs/how-to/agents.md, as it stands there: an agent with a dollar, whose calls its app pays, too."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fake_openai import answer_openai
from tests.fake_provider import provider_in_a_thread
from tests.rooms import CHECKOUT
from tests.serve.installation import Installation

PAGE = (CHECKOUT / "docs" / "how-to" / "agents.md").read_text("utf-8")
MESSAGES: Any = [{"role": "user", "content": "Hello"}]


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def token_for_agent() -> Callable[..., str]:
    names: dict[str, Any] = {}
    exec(compile(code("python"), "agents.md", "exec"), names)  # noqa: S102 - our own page
    made: Callable[..., str] = names["token_for_agent"]
    return made


def test_an_agent_spends_its_apps_money_and_no_more_than_its_own(tmp_path: Path) -> None:
    with provider_in_a_thread(answer_openai) as provider:
        place = Installation(tmp_path, {"BROKER_PROVIDER_OPENAI_BASE_URL": f"{provider.url}/v1"})
        place.furnish()
        added = place.json("client", "add", "Agents", "--redirect-uri", "http://127.0.0.1/callback")
        place.client_id = added["client_id"]
        granted = place.grant(models=["gpt-4o-mini", "gpt-4o"])
        with place.serving() as server:
            who = added["client_id"], added["client_secret"]
            details = json.dumps(json.loads(code("json")))
            token = token_for_agent()(server.address, who, granted.token, "Researcher", details)
            with openai.OpenAI(base_url=f"{server.address}/proxy/openai/v1", api_key=token, max_retries=0) as client:
                client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
                with pytest.raises(openai.PermissionDeniedError):
                    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            assert place.settled(granted.grant_id) == 5
        assert place.broker("ledger", "verify").startswith("OK: 1 call,")
