"""The composition root: builds each object once, and starts and ends what runs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette import routing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.core.clock import Clock
from broker.core.errors import CallRefused, InvalidToken
from broker.ledger.books import OwnBooks
from broker.ledger.distant import DistantBooks
from broker.oauth.origins import Origins
from broker.oauth.proof_reader import ProofReader
from broker.oauth.resource_proofs import ResourceProofs
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.oauth.signing_keys import load_keys
from broker.prices.book import PriceBook
from broker.providers.client import Waits, provider_client
from broker.providers.fetch import Fetch, GuardedFetch
from broker.providers.reach import Reach
from broker.providers.registry import Registry
from broker.proxy.authenticate import Principal, read_token
from broker.proxy.lifecycle import ProxyService
from broker.routes import Endpoint, Parts, Route, table
from broker.settings import Settings
from broker.start import open_database
from broker.store import schema
from broker.store.checkpoint import Checkpointer
from broker.store.database import Database
from broker.vault.master_key import open_vault
from broker.vault.vault import Vault
from broker.web.context import make_web
from broker.web.cors import Cors
from broker.web.errors import Errors
from broker.web.middleware import Edge

CUT_SECONDS = 4.0


class App:
    """The whole program as an ASGI app; its lifespan starts and ends what runs in it."""

    def __init__(self, parts: Parts, checkpointer: Checkpointer | None = None) -> None:
        self._parts = parts
        self._checkpointer = checkpointer
        self.proxy = ProxyService(
            parts.db, parts.books, parts.clock, monotonic, parts.settings, parts.vault, parts.client,
            parts.registry, parts.prices, lambda token: _principal(parts, token), parts.prover,
        )  # fmt: skip
        self.proxy.on_change.append(lambda: _read_keys(parts))
        self.routes = table(parts)
        inner = Starlette(
            routes=list(_by_path(self.routes)),
            exception_handlers=Errors(parts.web).handlers(),
            lifespan=self._lifespan,
        )
        inner.router.redirect_slashes = False
        origins = Origins(parts.db, parts.clock)
        self.proxy.on_change.append(origins.forget)
        cors = Cors(origins.clients_at, lambda scope: _caller(parts, scope))
        self._edge = Edge(inner, self.proxy.app, parts.settings, cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    async def start(self) -> None:
        if self._checkpointer is not None:
            self._checkpointer.start()
        await self.proxy.start()

    async def stop(self) -> None:
        await self.proxy.stop()
        await self._parts.client.close()
        if self._checkpointer is not None:
            await self._checkpointer.close()
        await self._parts.db.close()

    async def end_calls(self) -> None:
        """Cuts the calls that still run, and settles them."""
        await self.proxy.app.stop(CUT_SECONDS)

    async def schema_revision(self) -> str:
        return await schema.revision_now(self._parts.db)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()


def _by_path(rows: list[Route]) -> list[routing.Route]:
    """One route a path, so that a 405 names every method that is allowed there."""
    endpoints: dict[str, dict[str, Endpoint]] = {}
    for path, method, endpoint, _ in rows:
        endpoints.setdefault(path, {})[method] = endpoint
    return [routing.Route(path, _by_method(known), methods=list(known)) for path, known in endpoints.items()]


def _by_method(known: Mapping[str, Endpoint]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await known["GET" if request.method == "HEAD" else request.method](request)

    return answer


async def create_app(
    settings: Settings,
    *,
    clock: Clock,
    environ: Mapping[str, str],
    line: DistantBooks | None = None,
    fetch: Fetch | None = None,
) -> App:
    """On a database that has the present schema; with a line to the books where another process writes them.

    `fetch` stands for the one that reaches public hosts only.
    """
    db = _open_database(settings, line)

    async def keys(tx: AsyncSession) -> tuple[Vault, Signer]:
        vault = await open_vault(tx, settings.key_file)
        return vault, await load_or_make_signing_keys(tx, vault, clock(), settings)

    try:
        vault, signer = await db.write(keys)
    except BaseException:
        await db.close()
        raise
    reach = Reach.of(settings)
    registry, prices = Registry(environ, reach=reach), PriceBook()
    client = provider_client(_waits(settings), reach)
    web = make_web(db, clock, settings, vault, registry, prices)
    books = line or OwnBooks(db, clock)
    prover = ResourceProofs(db, clock, ProofReader.build(settings, clock, vault.derive("nonces")))
    return App(
        Parts(
            settings, clock, db, books, vault, signer, registry, prices, client, web, prover, fetch or GuardedFetch()
        ),
        Checkpointer(db) if line is None and not db.is_postgres else None,
    )


def _open_database(settings: Settings, line: DistantBooks | None) -> Database:
    """Nothing is moved out of SQLite's log by those who write: that is the work of a thread of the process with the books."""
    db = open_database(settings, turn=None if line is None else line.turn, autocheckpoint=False)
    if line is not None:
        db.before_read.append(line.settled)
    return db


def _waits(settings: Settings) -> Waits:
    return Waits(
        connect=settings.upstream_connect_seconds,
        first_byte=settings.upstream_first_byte_seconds,
        silence=settings.upstream_silence_seconds,
    )


def _principal(parts: Parts, token: str) -> Principal | None:
    try:
        claims = parts.signer.verify_access_token(token, parts.clock())
    except InvalidToken:
        return None
    return Principal(claims.jti, claims.grant_id, claims.jkt)


def _caller(parts: Parts, scope: Scope) -> str | None:
    """The client whose access token a request carries."""
    try:
        return parts.signer.verify_access_token(read_token(scope["headers"]).text, parts.clock()).client_id
    except (CallRefused, InvalidToken):
        return None


async def _read_keys(parts: Parts) -> None:
    parts.signer.use(await parts.db.read(lambda tx: load_keys(tx, parts.vault, parts.clock())))
