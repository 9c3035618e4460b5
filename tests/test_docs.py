"""The reference says what the code does, no more and no less."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from broker import cli
from broker.app import create_app
from broker.openapi.forwarded import PROVIDERS, paths_of
from broker.proxy.pipeline import DIALECTS
from broker.settings import Settings
from tests import rooms
from tests.turned_clock import TurnedClock

REFERENCE = rooms.CHECKOUT / "docs" / "reference"


def _rows(page: str) -> Iterator[list[str]]:
    """The cells of every row of every table."""
    for line in (REFERENCE / page).read_text("utf-8").splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _plain(cell: str) -> str:
    return "" if cell == "–" else cell.strip("`")


async def test_every_route_is_in_the_reference(tmp_path: Path, migrated: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.database_file.write_bytes(migrated.read_bytes())
    app = await create_app(settings, clock=TurnedClock(), environ={})
    routed = {(method, path) for path, method, _, _ in app.routes if not path.startswith("/proxy")}
    await app.stop()
    told = {
        (method, _plain(cells[1]))
        for cells in _rows("http.md")
        if cells[1].startswith("`/") and not cells[1].startswith("`/proxy")
        for method in cells[0].split(", ")
    }
    assert told == routed


def test_every_setting_and_its_default_is_in_the_reference() -> None:
    told = {_plain(cells[0]): _plain(cells[1]) for cells in _rows("settings.md") if re.match(r"`[A-Z_]+`$", cells[0])}
    example = (rooms.CHECKOUT / ".env.example").read_text("utf-8").splitlines()
    listed = {found[1]: found[2] for line in example if (found := re.fullmatch(r"#?([A-Z][A-Z_]+)=(.*)", line))}
    assert told == listed
    assert {f"BROKER_{name}".upper() for name in Settings.model_fields} <= told.keys()


def _options(command: Any) -> set[str]:
    return {name for option in command.params for name in option.opts if name.startswith("--")} - {"--help"}


def test_every_command_and_option_is_in_the_reference() -> None:
    root: Any = typer.main.get_command(cli.commands(cli.NOUNS))
    there = {
        " ".join(filter(None, (name, inner))): _options(command if inner == "" else command.commands[inner])
        for name, command in root.commands.items()
        for inner in getattr(command, "commands", {"": None})
    }
    page = (REFERENCE / "command-line.md").read_text("utf-8")
    told = {
        found[1].strip(): set(re.findall(r"--[a-z0-9-]+", found[2]))
        for found in re.finditer(r"^broker ((?:[a-z]+ ?){1,2})(.*)$", page, re.MULTILINE)
    }
    assert told == there


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_path_that_is_said_to_be_forwarded_is_one_that_its_dialect_tells_of(name: str) -> None:
    """And so stands in the OpenAPI document."""
    page = (REFERENCE / "providers.md").read_text("utf-8")
    part = re.search(rf"\| {name} \|.*?(?=\n\| [a-z]+ \||\n\n)", page, re.DOTALL)
    assert part is not None
    cells = re.findall(r"^\|[^|]*\|([^|]*)\|", part[0], re.MULTILINE)
    said = {re.sub(r"{[a-z_]+}", "{}", path) for cell in cells for path in re.findall(r"`(/v[^`…]*[^`…/])`", cell)}
    assert said
    assert said <= {re.sub(r"{[a-z_]+}", "{}", path) for path in paths_of(DIALECTS[name])}
