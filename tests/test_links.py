"""What the documents point to is there, and the picture of the rooms is the one that is enforced."""

import re
from pathlib import Path

import pytest

from tests import rooms

CHECKOUT = rooms.CHECKOUT
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(path for path in (CHECKOUT / "docs").rglob("*.md") if "node_modules" not in path.parts)]
)


def _links(page: Path) -> list[str]:
    """Addresses within the repository, without the part of the page."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    return [link.split("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_what_a_page_points_to_is_there(page: Path) -> None:
    assert [link for link in _links(page) if not (page.parent / link).exists()] == []


def test_the_rooms_told_are_the_rooms_enforced() -> None:
    told = re.findall(
        r"^\| `(\w+)` \|", (CHECKOUT / "docs/explanation/architecture.md").read_text("utf-8"), re.MULTILINE
    )
    modules_of_their_own = {"settings", "assets", "qr", "__main__", "__init__"}
    assert set(told) == set(rooms.ROOMS) - modules_of_their_own


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in sorted((CHECKOUT / "docs/adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_make_target_says_what_it_does() -> None:
    rules = re.findall(r"^([a-z]+):(.*)$", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [name for name, rest in rules if " ## " not in rest] == []
    assert {"help", "install", "demo", "run", "test", "check"} <= {name for name, _ in rules}
