"""The composition root: builds each object once, and holds THE table of routes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette import routing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.core.clock import Clock
from broker.core.errors import InvalidToken
from broker.identity.passwords import Passwords
from broker.identity.sign_in import SignIn
from broker.identity.throttle import Throttle
from broker.ledger.books import Books, OwnBooks
from broker.ledger.distant import DistantBooks
from broker.oauth.asked_details import Catalogue
from broker.oauth.proof_reader import ProofReader
from broker.oauth.server import AuthorizationServer
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.oauth.signing_keys import load_keys
from broker.ops.health import Health
from broker.prices.book import PriceBook
from broker.providers.check import KeyCheck
from broker.providers.client import ProviderClient, Waits
from broker.providers.registry import Registry
from broker.proxy.authenticate import Principal
from broker.proxy.lifecycle import ProxyService
from broker.settings import Settings
from broker.start import open_database
from broker.store import changes, schema
from broker.store.database import Database
from broker.vault.master_key import check_value_opens, open_vault
from broker.vault.vault import Vault
from broker.web.address import Addresses
from broker.web.consent import ConsentPages
from broker.web.context import Web, make_web
from broker.web.errors import Errors
from broker.web.grant import GrantPages
from broker.web.grant_moves import GrantMoves
from broker.web.grants import GrantsPages
from broker.web.help import HelpPages
from broker.web.keys import KeyPages
from broker.web.limits import LimitsPages
from broker.web.middleware import Edge
from broker.web.setup import SetupPages
from broker.web.sign_in import SignInPages

CUT_SECONDS = 4.0

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every endpoint is built from."""

    settings: Settings
    clock: Clock
    db: Database
    books: Books
    vault: Vault
    signer: Signer
    registry: Registry
    prices: PriceBook
    client: ProviderClient
    web: Web


Route = tuple[str, str, Endpoint, str]
"""Path, method, endpoint, and who may call it."""


def table(parts: Parts) -> list[Route]:
    """Everything that is answered, but for the calls under /proxy, which the proxy has a table of its own for."""
    addresses = Addresses(parts.settings.trusted_proxies)
    return [*_for_programs(parts, addresses), *_for_people(parts, addresses)]


# fmt: off
def _for_programs(parts: Parts, addresses: Addresses) -> list[Route]:
    oauth = AuthorizationServer.build(
        parts.db, parts.clock, parts.settings, parts.signer,
        catalogue=Catalogue(
            knows=lambda name: parts.registry.get(name) is not None,
            sellers=lambda model: _sellers(parts, model),
        ),
        is_signed_in=lambda request: _is_signed_in(parts.web, request),
        address_of=addresses,
        proofs=ProofReader.build(parts.settings, parts.clock, parts.vault.derive("nonces")),
    )
    health = Health({"database": lambda: _database(parts), "vault": lambda: _vault(parts)})
    return [
        ("/.well-known/oauth-authorization-server",           "GET",  oauth.discovery.server,            "anyone"),
        ("/.well-known/oauth-protected-resource/proxy",       "GET",  oauth.discovery.resource,          "anyone"),
        ("/.well-known/jwks.json",                            "GET",  oauth.discovery.keys,              "anyone"),
        ("/schemas/ai_model_access.json",                     "GET",  oauth.discovery.details_schema,    "anyone"),
        ("/oauth/authorize",                                  "GET",  oauth.authorize.endpoint,          "a browser, sent by a client"),
        ("/oauth/authorize",                                  "POST", oauth.authorize.endpoint,          "a browser, sent by a client"),
        ("/oauth/par",                                        "POST", oauth.par.endpoint,                "a client"),
        ("/oauth/token",                                      "POST", oauth.token.endpoint,              "a client"),
        ("/oauth/revoke",                                     "POST", oauth.revoke.endpoint,             "a client"),
        ("/health/live",                                      "GET",  health.live,                       "anyone"),
        ("/health/ready",                                     "GET",  health.ready,                      "anyone"),
    ]


def _for_people(parts: Parts, addresses: Addresses) -> list[Route]:
    web, settings = parts.web, parts.settings
    passwords = Passwords()
    throttle = Throttle(parts.vault.derive("throttle"), settings.sign_in_tries, settings.sign_in_tries_address)
    sign_in = SignInPages(web, SignIn(parts.db, parts.clock, passwords, throttle), addresses)
    setup = SetupPages(web, passwords, throttle, addresses)
    grants, grant, moves, limits = GrantsPages(web), GrantPages(web), GrantMoves(web), LimitsPages(web)
    check = KeyCheck(parts.client)
    consent, keys = ConsentPages(web, check), KeyPages(web, check)
    return [
        ("/",                                                 "GET",  sign_in.home,                      "anyone"),
        ("/sign-in",                                          "GET",  sign_in.form,                      "anyone"),
        ("/sign-in",                                          "POST", sign_in.submit,                    "anyone"),
        ("/sign-out",                                         "POST", sign_in.sign_out,                  "a user"),
        ("/setup/1",                                          "GET",  setup.code_form,                   "whoever has the setup code"),
        ("/setup/1",                                          "POST", setup.take_code,                   "whoever has the setup code"),
        ("/setup/2",                                          "GET",  setup.account_form,                "whoever has the setup code"),
        ("/setup/2",                                          "POST", setup.make_account,                "whoever has the setup code"),
        ("/consent/{id}",                                     "GET",  consent.show,                      "a user"),
        ("/consent/{id}",                                     "POST", consent.answer,                    "a user"),
        ("/consent/{id}/done",                                "GET",  consent.done,                      "a user"),
        ("/grants",                                           "GET",  grants.list,                       "a user"),
        ("/grants/pause-all",                                 "GET",  grants.confirm_pause_all,          "a user"),
        ("/grants/pause-all",                                 "POST", grants.pause_all,                  "a user"),
        ("/grants/{grant_id}",                                "GET",  grant.show,                        "its user"),
        ("/grants/{grant_id}/pause",                          "POST", moves.pause,                       "its user"),
        ("/grants/{grant_id}/resume",                         "POST", moves.resume,                      "its user"),
        ("/grants/{grant_id}/revoke",                         "GET",  moves.confirm_revoke,              "its user"),
        ("/grants/{grant_id}/revoke",                         "POST", moves.revoke,                      "its user"),
        ("/grants/{grant_id}/limits",                         "GET",  limits.show,                       "its user"),
        ("/grants/{grant_id}/limits",                         "POST", limits.save,                       "its user"),
        ("/keys",                                             "GET",  keys.list,                         "a user"),
        ("/keys/new",                                         "GET",  keys.show_new,                     "a user"),
        ("/keys/new",                                         "POST", keys.add,                          "a user"),
        ("/keys/{credential_id}/replace",                     "GET",  keys.show_replace,                 "its user"),
        ("/keys/{credential_id}/replace",                     "POST", keys.replace,                      "its user"),
        ("/keys/{credential_id}/remove",                      "GET",  keys.show_remove,                  "its user"),
        ("/keys/{credential_id}/remove",                      "POST", keys.remove,                       "its user"),
        ("/keys/{credential_id}/check",                       "POST", keys.check,                        "its user"),
        ("/help/what-apps-see",                               "GET",  HelpPages(web).what_apps_see,      "anyone"),
        ("/static/{name}",                                    "GET",  web.static.file,                   "anyone"),
    ]
# fmt: on


class App:
    """The whole program as an ASGI app; its lifespan starts and ends what runs in it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.proxy = ProxyService(
            parts.db, parts.books, parts.clock, monotonic, parts.settings, parts.vault, parts.client,
            parts.registry, parts.prices, lambda token: _principal(parts, token),
        )  # fmt: skip
        self.proxy.on_change.append(lambda: _read_keys(parts))
        self.routes = table(parts)
        inner = Starlette(
            routes=list(_by_path(self.routes)),
            exception_handlers=Errors(parts.web).handlers(),
            lifespan=self._lifespan,
        )
        inner.router.redirect_slashes = False
        self._edge = Edge(inner, self.proxy.app, parts.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    async def start(self) -> None:
        await self.proxy.start()

    async def stop(self) -> None:
        await self.proxy.stop()
        await self._parts.client.close()
        await self._parts.db.close()

    async def end_calls(self) -> None:
        """Cuts the calls that still run, and settles them."""
        await self.proxy.app.stop(CUT_SECONDS)

    async def schema_revision(self) -> str:
        return await self._parts.db.read(schema.revision)

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
    settings: Settings, *, clock: Clock, environ: Mapping[str, str], line: DistantBooks | None = None
) -> App:
    """On a database that has the present schema; with a line to the books where another process writes them."""
    db = _open_database(settings, line)

    async def keys(tx: AsyncSession) -> tuple[Vault, Signer]:
        vault = await open_vault(tx, settings.key_file)
        return vault, await load_or_make_signing_keys(tx, vault, clock(), settings)

    try:
        vault, signer = await db.write(keys)
    except BaseException:
        await db.close()
        raise
    registry, prices = Registry(environ), PriceBook()
    client = ProviderClient(_waits(settings))
    web = make_web(db, clock, settings, vault, registry, prices)
    books = line or OwnBooks(db, clock)
    return App(Parts(settings, clock, db, books, vault, signer, registry, prices, client, web))


def _open_database(settings: Settings, line: DistantBooks | None) -> Database:
    if line is None:
        return open_database(settings)
    db = open_database(settings, turn=line.turn, autocheckpoint=False)
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
    return Principal(claims.jti, claims.grant_id)


def _sellers(parts: Parts, model: str) -> tuple[str, ...]:
    now = parts.clock()
    return tuple(name for name in parts.registry.names() if parts.prices.find(name, model, now) is not None)


async def _read_keys(parts: Parts) -> None:
    parts.signer.use(await parts.db.read(lambda tx: load_keys(tx, parts.vault, parts.clock())))


async def _is_signed_in(web: Web, request: Request) -> bool:
    return await web.sessions.current(request) is not None


async def _database(parts: Parts) -> None:
    await parts.db.read(changes.count)


async def _vault(parts: Parts) -> None:
    await parts.db.read(lambda tx: check_value_opens(tx, parts.vault))
