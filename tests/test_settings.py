"""Settings: read strictly, and refused with everything wrong at once."""

import re
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import CannotStart
from broker.settings import Settings, environment, load_settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env, no BROKER_* of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BROKER_{name}".upper(), raising=False)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"issuer": "https://broker.test/"}, "without trailing slash"),
        ({"issuer": "https://me@broker.test"}, "without trailing slash, query, fragment or user"),
        ({"issuer": "https://broker.test#"}, "without trailing slash, query, fragment or user"),
        ({"issuer": "https://broker.test?"}, "without trailing slash, query, fragment or user"),
        ({"issuer": "https://broker.test/tenant"}, "without a path: pages and endpoints stand at the root of a host"),
        ({"issuer": "https://broker.test/tenant/"}, "without trailing slash"),
        ({"issuer": "http://broker.test"}, "must be https unless it is on this computer"),
        ({"issuer": "broker.test"}, "must begin with https://"),
        ({"issuer": "https://[broker"}, "BROKER_ISSUER is no address: Invalid IPv6 URL"),
        ({"host": "0.0.0.0"}, "BROKER_HOST is not on this computer"),
        ({"behind_tls_proxy": True}, "needs BROKER_TRUSTED_PROXIES"),
        ({"trusted_proxies": "proxy.test"}, "'proxy.test' is no address and no network"),
        ({"tls_cert": "a.pem"}, "go together"),
        ({"tls_cert": "a.pem", "tls_key": "b.pem"}, "must begin with https:// where BROKER_TLS_CERT is set"),
        ({"database_url": "postgresql://me:hidden@db/broker"}, "BROKER_DATABASE_URL must be postgresql+asyncpg://"),
        ({"database_url": "postgresql+asyncpg://me:hidden@db"}, "BROKER_DATABASE_URL must be postgresql+asyncpg://"),
        (
            {"database_url": "postgresql+asyncpg://me:hidden@db:x/broker"},
            "BROKER_DATABASE_URL must be postgresql+asyncpg://",
        ),
        ({"workers": 0}, "BROKER_WORKERS: "),
        ({"max_budget": "5,00"}, "BROKER_MAX_BUDGET: must be an amount of dollars"),
        ({"max_budget": "0"}, "BROKER_MAX_BUDGET: "),
        ({"refresh_grace_seconds": 61}, "BROKER_REFRESH_GRACE_SECONDS: "),
        ({"operator_keys": "anybody"}, "BROKER_OPERATOR_KEYS: "),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(CannotStart) as refused:
        load_settings(**given)
    assert problem in refused.value.description
    assert "hidden" not in refused.value.description


def test_the_address_of_the_database_shows_itself_to_nobody() -> None:
    settings = load_settings(database_url="postgresql+asyncpg://me:hidden@db/broker?ssl=verify-full")
    assert settings.is_on_postgresql
    assert "hidden" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {"issuer": "x", "host": "0.0.0.0", "trusted_proxies": "x", "user_servers_inside": "-", "database_url": "y"},
            ["ISSUER", "HOST", "TRUSTED_PROXIES", "USER_SERVERS_INSIDE", "DATABASE_URL"],
        ),
        (
            {"behind_tls_proxy": True, "tls_cert": "a.pem", "issuer": "http://broker.test"},
            ["ISSUER", "BEHIND_TLS_PROXY", "TLS_CERT"],
        ),
        ({"port": "abc", "workers": 0, "max_budget": "5,00"}, ["PORT", "WORKERS", "MAX_BUDGET"]),
    ],
)
def test_all_that_is_wrong_is_one_line_in_which_each_begins_with_its_variable(
    given: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(CannotStart) as refused:
        load_settings(**given)
    problems = refused.value.description.split("; ")
    assert [re.split("[: ]", problem)[0] for problem in problems] == [f"BROKER_{name}" for name in named]
    assert "\n" not in refused.value.description


def test_a_file_of_settings_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BROKER_PORT=\xff\n")
    with pytest.raises(CannotStart, match=r"^\.env cannot be read: "):
        load_settings()


def test_the_issuer_is_this_computer_unless_said() -> None:
    assert (Settings(port=9000).public_url, Settings(port=9000).resource) == (
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000/proxy",
    )
    assert Settings(issuer="https://broker.test").secure


def test_dollars_are_read_as_decimals() -> None:
    assert load_settings(max_budget="50.10").max_budget == 50_100_000


def test_lists_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8 ::1")
    assert load_settings().trusted_proxies == ("127.0.0.1", "10.0.0.0/8", "::1")


def test_a_lease_has_room_for_three_heartbeats() -> None:
    assert Settings(call_lease_seconds=3, call_heartbeat_seconds=5).heartbeat_seconds == 1
    assert Settings().heartbeat_seconds == 5


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("BROKER_PORT=1\nBROKER_WORKERS=2\nOPENAI_API_KEY=of the file\n")
    monkeypatch.setenv("BROKER_PORT", "3")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    read = load_settings()
    assert (read.port, read.workers) == (3, 2)
    assert environment()["OPENAI_API_KEY"] == "of the file"
    monkeypatch.setenv("OPENAI_API_KEY", "of the environment")
    assert environment()["OPENAI_API_KEY"] == "of the environment"
