"""Work in the background at a provider while the broker is killed: its hold stays, and another process settles it."""

from pathlib import Path
from typing import Any

import openai

from tests.fake_provider import provider_in_a_thread
from tests.fake_state import KeepingOpenAI
from tests.serve.installation import Granted, Installation
from tests.serve.running import eventually


def budget(place: Installation, granted: Granted) -> dict[str, Any]:
    found: dict[str, Any] = place.show(granted.grant_id)["access"][0]["budget"]
    return found


def begin(address: str, granted: Granted) -> str:
    with openai.OpenAI(base_url=f"{address}/proxy/openai/v1", api_key=granted.token, max_retries=0) as client:
        made = client.responses.create(model="gpt-4o-mini", input="Hello", background=True, max_output_tokens=1_000)
    return made.id


def test_its_hold_outlives_the_broker_and_is_settled_by_what_it_used(tmp_path: Path) -> None:
    kept = KeepingOpenAI()
    with provider_in_a_thread(kept) as provider:
        place = Installation(
            tmp_path, {"BROKER_CALL_LEASE_SECONDS": "1", "BROKER_PROVIDER_OPENAI_BASE_URL": provider.url}
        )
        place.furnish()
        granted = place.grant(actions=["chat", "background"])
        with place.serving() as server:
            response_id = begin(server.address, granted)
            server.process.kill()
        held = budget(place, granted)
        assert held["held"] > 500
        with place.serving():
            # The lease of the dead has lapsed, and its sweep has been.
            eventually(lambda: _looked_at(provider.asked, response_id), within=30)
            assert budget(place, granted) == held
            kept.end(response_id)
            settled = eventually(lambda: _at_rest(place, granted), within=60)
        verdict = place.broker("ledger", "verify")
    # 10 tokens at $0.15 and 5 at $0.60 a million.
    assert settled["settled"] == 5
    assert verdict.startswith("OK: ")


def _looked_at(asked: list[Any], response_id: str) -> bool:
    return any(response_id in each.target for each in asked)


def _at_rest(place: Installation, granted: Granted) -> dict[str, Any] | None:
    found = budget(place, granted)
    return found if found["held"] == 0 else None
