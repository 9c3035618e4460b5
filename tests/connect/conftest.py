"""A broker that lets programs register themselves, and computers that are connected to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.cli.asking import Wanted, profile_of
from broker.cli.device_flow import Pace, ask, wait_for_answer
from broker.cli.issuer import Issuer
from broker.cli.profile import keep
from broker.cli.renewal import system_now
from tests.connect.computer import Computer, answer
from tests.serve.installation import Installation


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {
        "BROKER_CLIENT_REGISTRATION": "true",
        "BROKER_CLIENT_REGISTRATIONS_ADDRESS": "1000",
        "BROKER_DEVICE_POLL_SECONDS": "1",
        "BROKER_SQLITE_SYNCHRONOUS": "normal",
    }
    made = Installation(tmp_path_factory.mktemp("broker"), settings)
    made.furnish()
    with made.serving():
        yield made


@pytest.fixture
def computer(tmp_path: Path, place: Installation) -> Computer:
    return Computer(tmp_path, place, f"http://127.0.0.1:{place.settings['BROKER_PORT']}")


@pytest.fixture
async def connected(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> Computer:
    """Codex is, in the time that a process and its waiting would take several times."""
    monkeypatch.setenv("HOME", str(computer.home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    wish: dict[str, Any] = {"type": "ai_model_access", "provider": "openai", "models": ["gpt-*"], "actions": ["chat"]}
    client_id, endpoint = computer.place.client_id, f"{computer.issuer}/oauth/token"
    with Issuer.at(computer.issuer) as issuer:
        codes = ask(issuer, f"{computer.issuer}/oauth/device_authorization", client_id, wish, "Codex")
        await answer(computer.issuer, codes.user_code, "Approve")
        tokens = wait_for_answer(issuer, endpoint, client_id, codes, Pace(sleep=lambda _: None))
    wanted = Wanted("codex", "codex", "Codex", computer.issuer, wish, client_id, None)
    keep(profile_of(wanted, client_id, endpoint, tokens, system_now()))
    return computer
