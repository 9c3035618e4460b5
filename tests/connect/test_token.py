"""`broker token` beside a real broker: a token that works, or one clear line."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from broker.cli.profile import ENOUGH
from broker.cli.renewal import YOUNG
from tests.connect.computer import Computer
from tests.serve.running import eventually

AT_ONCE = 10


async def operator(computer: Computer, *words: str) -> None:
    await asyncio.to_thread(computer.place.broker, *words)


async def test_it_prints_a_token_and_nothing_else(connected: Computer) -> None:
    told = await connected.broker("token")
    assert told.token == connected.kept("codex")["access_token"]
    assert (await connected.broker("token", "codex")).token == told.token
    as_json = json.loads((await connected.broker("token", "--json")).out)
    assert as_json["access_token"] == told.token
    assert 3500 < as_json["expires_in"] <= 3600


async def test_ten_at_once_refresh_once_and_all_get_the_same_token(connected: Computer) -> None:
    before = connected.kept("codex")
    connected.age("codex", 3600 - ENOUGH + 1)
    told = await asyncio.gather(*(connected.broker("token") for _ in range(AT_ONCE)))
    tokens = {each.token for each in told}
    after = connected.kept("codex")
    assert tokens == {after["access_token"]}
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    assert connected.status(after["access_token"]) == 200
    assert stat.S_IMODE(connected.file("codex").stat().st_mode) == 0o600
    connected.age("codex", 3600)
    again = await connected.broker("token")
    assert connected.status(again.token) == 200
    assert again.token not in tokens


async def test_a_token_that_lasts_is_left_alone(connected: Computer) -> None:
    connected.age("codex", 3600 - ENOUGH - 60)
    before = connected.file("codex").read_text()
    told = await connected.broker("token")
    assert told.token in before
    assert connected.file("codex").read_text() == before


async def test_a_revoked_grant_is_one_line_that_says_how_to_go_on(connected: Computer) -> None:
    await operator(connected, "grant", "revoke", connected.kept("codex")["grant_id"])
    connected.age("codex", YOUNG)
    told = await connected.broker("token")
    line = "The connection 'codex' has ended. Connect again: broker connect codex --name codex\n"
    assert (told.status, told.out, told.err) == (1, "", line)
    again = await connected.connect("codex", "--name", "codex")
    assert again.status == 0, again.err
    assert connected.status((await connected.broker("token")).token) == 200


async def test_what_is_kept_is_newer_than_what_was_printed_also_where_nobody_could_read_it(connected: Computer) -> None:
    connected.age("codex", 3600)
    full = os.open("/dev/full", os.O_WRONLY)
    process = await connected.begin("token", stdout=full)
    await process.communicate()
    os.close(full)
    assert process.returncode != 0
    assert connected.status((await connected.broker("token")).token) == 200


async def test_a_key_that_leaked_makes_the_token_be_refreshed_though_it_lasts(connected: Computer) -> None:
    before = connected.kept("codex")["access_token"]
    await operator(connected, "signing", "rotate", "--at-once")
    connected.age("codex", YOUNG)
    await asyncio.to_thread(eventually, lambda: connected.status(before) == 401)
    told = await connected.broker("token")
    assert told.token != before
    assert connected.status(told.token) == 200


async def test_without_a_connection_it_says_how_to_make_one(computer: Computer) -> None:
    for words, status, line in (
        ((), 2, "There is no connection yet. Make one: broker connect CLIENT\n"),
        (("codex",), 1, "There is no connection 'codex'. Make one: broker connect CLIENT --name codex\n"),
        (("../x",), 2, "'../x' is no name of a connection: a to z, 0 to 9, dots, dashes, at most 64 characters.\n"),
    ):
        told = await computer.broker("token", *words)
        assert (told.status, told.out, told.err) == (status, "", line)


@pytest.mark.parametrize("harm", ["readable", "link", "damaged", "folder"])
async def test_a_file_that_others_could_have_touched_is_not_believed(connected: Computer, harm: str) -> None:
    file = connected.file("codex")
    if harm == "readable":
        file.chmod(0o640)
    elif harm == "link":
        file.rename(connected.home / "codex.json")
        file.symlink_to(connected.home / "codex.json")
    elif harm == "damaged":
        file.write_text('{"access_token": "x"}')
    else:
        file.parent.chmod(0o770)
    told = await connected.broker("token", "codex")
    assert (told.status, told.out, told.err.count("\n")) == (1, "", 1)
    assert str(file.parent) in told.err


async def test_tokens_are_in_no_log_and_on_no_command_line(connected: Computer) -> None:
    connected.age("codex", 3600)
    before = connected.kept("codex")
    process = await connected.begin("token")
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
    await process.communicate()
    secrets = [kept[name] for kept in (before, connected.kept("codex")) for name in ("access_token", "refresh_token")]
    said = (connected.place.folder / "stderr.log").read_bytes() + words
    assert not any(secret.encode() in said for secret in secrets)
