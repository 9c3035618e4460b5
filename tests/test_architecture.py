"""The rooms and their doors are those of docs/explanation/architecture.md; files and functions stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rooms

MOST_LINES_A_FILE = 300
MOST_LINES_A_FUNCTION = 50
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "service", "misc"}

MODULES = dict(rooms.modules())
SOURCES = sorted(path for folder in ("broker", "tests") for path in (rooms.CHECKOUT / folder).rglob("*.py"))


def _relative(path: Path) -> str:
    return path.relative_to(rooms.CHECKOUT).as_posix()


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_part_of_the_package_is_a_room_of_the_plan() -> None:
    assert {name.split(".")[1] for name in MODULES} <= set(rooms.ROOMS)


def test_each_room_imports_only_what_the_plan_allows() -> None:
    assert [fault for name, tree in MODULES.items() for fault in rooms.faults(name, tree)] == []


def test_arrows_only_go_down() -> None:
    left = {room: set(below) for room, below in rooms.ROOMS.items()}
    while ground := [room for room, below in left.items() if not below]:
        for room in ground:
            del left[room]
        left = {room: below.difference(ground) for room, below in left.items()}
    assert left == {}, "these rooms import each other in a circle"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("broker.core.grant", "import sqlmodel"),
        ("broker.core.grant", "from broker.store import tables"),
        ("broker.oauth.issue", "from broker.proxy.pipeline import Pipeline"),
        ("broker.proxy.forward", "import broker.oauth.signing"),
        ("broker.proxy.forward", "import httpx"),
        ("broker.web.grants", "def render():\n    from jinja2 import Template"),
        ("broker.oauth.consent", "from broker.app import make_app"),
        ("broker.oauth.consent", "from broker import app"),
        ("broker.oauth.consent", "from .. import app"),
        ("broker.demo.app", "from broker.core.money import MicroUSD"),
    ],
)
def test_an_import_against_the_plan_is_found(module: str, line: str) -> None:
    assert len(rooms.faults(module, ast.parse(line))) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("broker.core.grant", "from enum import StrEnum"),
        ("broker.store.users", "from sqlmodel import select"),
        ("broker.providers.transport", "import httpx"),
        ("broker.app", "from broker import __version__"),
    ],
)
def test_an_import_of_the_plan_is_left_alone(module: str, line: str) -> None:
    assert rooms.faults(module, ast.parse(line)) == []


def test_no_test_uses_mocks() -> None:
    mocked = [
        _relative(path)
        for path in SOURCES
        for name in rooms.imports(ast.parse(path.read_text("utf-8")))
        if name.startswith("unittest")
    ]
    assert mocked == []


def test_no_file_is_longer_than_one_idea() -> None:
    long = {
        _relative(path): lines
        for path in SOURCES
        if (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES_A_FILE
    }
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{_relative(path)}: {name}": lines
        for path in SOURCES
        for name, lines in _functions(path)
        if lines > MOST_LINES_A_FUNCTION
    }
    assert long == {}


def test_every_file_is_named_by_what_it_is() -> None:
    assert [_relative(path) for path in SOURCES if NAMES_THAT_SAY_NOTHING & set(path.stem.split("_"))] == []
