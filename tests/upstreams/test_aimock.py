"""aimock at one end, the official SDKs in JavaScript at the other, and the broker between them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.canary import KEYS
from tests.serve.installation import Granted, Installation, free_port
from tests.serve.running import PATIENCE, Running
from tests.upstreams import programs
from tests.upstreams.ledger import rows

pytestmark = programs.needs_modules

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}


@dataclass
class Place:
    server: Running
    granted: dict[str, Granted]

    def ask(self, text: str, *, streamed: bool) -> str:
        base, key = f"{self.server.address}/proxy/openai/v1", self.granted["openai"].token
        messages: Any = [{"role": "user", "content": text}]
        with openai.OpenAI(base_url=base, api_key=key, max_retries=0) as client:
            if streamed:
                stream = client.chat.completions.create(model=MODELS["openai"], messages=messages, stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            whole = client.chat.completions.create(model=MODELS["openai"], messages=messages)
            return whole.choices[0].message.content or ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("aimock"), free_port()
    with programs.started(programs.aimock(port), port, folder) as mock:
        installation = Installation(folder, {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": mock for name in MODELS})
        installation.furnish()
        for name in ("anthropic", "google"):
            words = ("--provider", name, "--user", "ana@example.com", "--no-check")
            installation.broker("key", "add", *words, stdin=KEYS[name] + "\n")
        granted = {name: installation.grant(provider=name, models=[model]) for name, model in MODELS.items()}
        with installation.serving() as server:
            yield Place(server, granted)


def run_sdks(place: Place, folder: Path) -> Any:
    """In a folder beside the modules: node looks for them there."""
    script = shutil.copy(programs.HERE / "sdk.mjs", programs.INSTALLED / "sdk.mjs")
    tokens = [place.granted[name].token for name in MODELS]
    done = subprocess.run(
        [str(programs.NODE), script, place.server.address, *tokens],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_sdks_in_javascript_hear_what_was_said_and_why_they_are_refused(place: Place, tmp_path: Path) -> None:
    before = len(rows(place.server))
    heard = run_sdks(place, tmp_path)
    assert set(heard["said"].values()) == {"Hello there."}
    assert len(heard["said"]) == 8
    assert heard["told"] == {"a chat": 403, "a message": 403, "a content": 403}
    booked = rows(place.server)[before:]
    assert [(row.mark, row.input_tokens, row.output_tokens) for row in booked] == [("reported", 10, 5)] * 8
    # 10 tokens in and 5 out, each call rounded up: $0.15 and $0.60 a million, $1.00 and $5.00, $0.30 and $2.50.
    assert [row.cost for row in booked] == [5] * 4 + [35] * 2 + [16] * 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_provider_that_counts_nothing_is_paid_the_bound(place: Place, streamed: bool) -> None:
    assert place.ask("without a count", streamed=streamed) == "Nobody counted this."
    row = rows(place.server)[-1]
    assert (row.mark, row.outcome) == ("estimated", "ok")
    assert row.cost == row.hold > 0
