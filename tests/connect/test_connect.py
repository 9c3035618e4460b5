"""`broker connect` beside a real broker: a person approves, and the program is told where to call and how to get tokens."""

import asyncio
import json
import os
import pty
import stat
import tomllib

import pytest

from broker.qr import drawing_of
from tests.connect.computer import Computer, answer


async def test_a_program_registers_itself_is_approved_and_gets_settings_without_a_token(computer: Computer) -> None:
    told = await computer.connect("codex", **{"access-0-budget": "0.50"})
    kept = computer.kept("codex")
    settings = tomllib.loads(told.out)
    assert told.status == 0
    assert settings["model_provider"] == "broker"
    provider = settings["model_providers"]["broker"]
    assert provider["base_url"] == f"{computer.issuer}/proxy/openai/v1"
    assert provider["auth"]["args"][-2:] == ["token", "codex"]
    assert "Granted: up to $0.50 of openai (gpt-*), until " in told.err
    shown = await computer.grant("codex")
    assert (shown["state"], shown["access"][0]["models"], shown["client_id"]) == (
        "active",
        ["gpt-*"],
        kept["client_id"],
    )
    assert not any(kept[each] in told.out + told.err for each in ("access_token", "refresh_token"))
    assert computer.status(kept["access_token"]) == 200


async def test_only_its_owner_can_read_what_is_kept(connected: Computer) -> None:
    folder = connected.file("codex").parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_the_same_words_again_ask_nobody_and_print_the_settings_again(connected: Computer) -> None:
    before = connected.kept("codex")
    told = await connected.broker("connect", "codex")
    assert (told.status, "and enter" in told.err) == (0, False)
    assert tomllib.loads(told.out)["model_provider"] == "broker"
    assert connected.kept("codex") == before


async def test_other_words_ask_anew_and_give_the_grant_there_was_back(connected: Computer) -> None:
    before = connected.kept("codex")
    told = await connected.connect("codex", "--budget", "0.75", "--models", "gpt-4.1-mini", "--days", "1")
    now = connected.kept("codex")
    assert told.status == 0, told.err
    assert "Granted: up to $0.75 of openai (gpt-4.1-mini)" in told.err
    assert now["client_id"] == before["client_id"]
    assert now["grant_id"] != before["grant_id"]
    assert (await asyncio.to_thread(connected.place.show, before["grant_id"]))["state"] == "revoked"
    assert connected.status(now["access_token"]) == 200
    again = await connected.connect("codex", "--again")
    assert "Granted: up to $0.75 of openai (gpt-4.1-mini)" in again.err


async def test_each_connection_is_a_grant_of_its_own_also_of_one_app_that_the_operator_made_known(
    computer: Computer,
) -> None:
    words = ("--client-id", computer.place.client_id)
    for name in ("first", "second"):
        told = await computer.connect("openai", "--name", name, *words)
        assert f'export OPENAI_BASE_URL={computer.issuer}/proxy/openai/v1\nexport OPENAI_API_KEY="$(' in told.out
        assert f'token {name})"\n' in told.out
    assert computer.kept("first")["client_id"] == computer.kept("second")["client_id"] == computer.place.client_id
    assert computer.kept("first")["grant_id"] != computer.kept("second")["grant_id"]
    assert (await computer.grant("first"))["state"] == "active"
    which = await computer.broker("token")
    assert (which.status, which.err) == (2, "Which connection? There are first, second.\n")


async def test_a_denial_is_one_line_and_nothing_is_kept(computer: Computer) -> None:
    told = await computer.connect("codex", button="Deny")
    assert (told.status, told.out) == (1, "")
    assert told.err.endswith("\nThe request was denied.\n")
    assert not computer.file("codex").exists()


async def test_a_square_is_drawn_on_a_terminal_and_nowhere_else(computer: Computer) -> None:
    ours, theirs = pty.openpty()
    computer.settings |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = await computer.begin("connect", "codex", "--issuer", computer.issuer, stderr=theirs)
    os.close(theirs)
    told = b""
    while b"Ctrl-C" not in told:
        told += await asyncio.to_thread(os.read, ours, 65_536)
    user_code = told.decode().split("and enter")[1].split()[0]
    drawn = drawing_of(f"{computer.issuer}/device?user_code={user_code}").lines
    assert "\r\n".join(drawn) in told.decode()
    await answer(computer.issuer, user_code, "Deny")
    await process.wait()
    os.close(ours)
    piped = await computer.connect("codex", button="Deny")
    assert "▀" not in piped.err
    assert "\x1b" not in piped.err


async def test_settings_are_written_beside_what_stands_there(connected: Computer) -> None:
    codex = connected.home / "codex"
    codex.mkdir()
    (codex / "config.toml").write_text('# mine\nmodel = "gpt-5"\nweb_search = "disabled"\n\n[tui]\ntheme = "dark"')
    connected.settings["CODEX_HOME"] = str(codex)
    told = await connected.broker("connect", "codex", "--write")
    assert (told.status, told.out, told.err) == (0, "", f"Written: {codex}/config.toml\n")
    text = (codex / "config.toml").read_text()
    written = tomllib.loads(text)
    assert (written["model"], written["tui"], written["model_provider"]) == ("gpt-5", {"theme": "dark"}, "broker")
    assert '# mine\nmodel = "gpt-5"' in text
    assert (await connected.broker("connect", "codex", "--write")).status == 0
    assert (codex / "config.toml").read_text() == text


async def test_nobody_is_asked_where_the_file_could_not_be_written(computer: Computer) -> None:
    folder = computer.home / ".claude"
    folder.mkdir()
    before = json.dumps({"apiKeyHelper": "vault read", "env": {"A": "1"}})
    (folder / "settings.json").write_text(before)
    told = await computer.broker("connect", "claude-code", "--write", "--issuer", computer.issuer)
    line = f"{folder}/settings.json has another apiKeyHelper already."
    assert (told.status, told.err.startswith(line), told.err.count("\n")) == (2, True, 1)
    assert (folder / "settings.json").read_text() == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["emacs"], "'emacs' is not known here. Known: openai, "),
        (["codex", "--provider", "anthropic"], "Codex works with openai, not with anthropic."),
        (["codex", "--name", "../codex"], "'../codex' is no name of a connection"),
        (["codex", "--budget", "five"], "That cannot be asked for: "),
        (["codex", "--actions", "dance"], "That cannot be asked for: "),
        (["codex", "--issuer", "http://broker.example"], "'http://broker.example' must begin with https://"),
        (["codex", "--issuer", "https://broker.example/x"], "'https://broker.example/x' is no address of a broker."),
        (["codex", "--issuer", "https://a@broker.example"], "'https://a@broker.example' is no address of a broker."),
        (["openai", "--write"], "OpenAI SDK has no file for this"),
    ],
)
async def test_what_cannot_be_is_one_line_and_status_2(computer: Computer, words: list[str], line: str) -> None:
    told = await computer.broker("connect", *words)
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith(line)
    assert told.err.count("\n") == 1


async def test_a_name_belongs_to_one_program(connected: Computer) -> None:
    told = await connected.broker("connect", "openai", "--name", "codex")
    assert (told.status, told.err) == (2, "The connection 'codex' is one of codex. Choose another --name.\n")
