"""THE table of routes: everything that is answered, and who may ask for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from broker import __version__
from broker.core.clock import Clock
from broker.identity.passwords import Passwords
from broker.identity.sign_in import SignIn
from broker.identity.throttle import Throttle
from broker.ledger.books import Books
from broker.oauth.asked_details import Catalogue
from broker.oauth.device_entry import DeviceEntry
from broker.oauth.resource_proofs import ResourceProofs
from broker.oauth.server import AuthorizationServer
from broker.oauth.signing import Signer
from broker.oauth.user_code import UserCodes
from broker.openapi.document import PATH as OPENAPI
from broker.openapi.document import Document, document
from broker.ops.health import Health
from broker.ops.metrics import PATH as METRICS
from broker.ops.metrics import Metrics
from broker.prices.book import PriceBook
from broker.providers.check import KeyCheck
from broker.providers.client import ProviderClient
from broker.providers.fetch import Fetch
from broker.providers.known import BROUGHT
from broker.providers.registry import Registry
from broker.proxy.pipeline import DIALECTS
from broker.settings import Settings, is_loopback
from broker.store import changes
from broker.store.database import Database
from broker.store.measures import measure
from broker.vault.master_key import check_value_opens
from broker.vault.vault import Vault
from broker.web.address import Addresses
from broker.web.agents import AgentMoves
from broker.web.connect import ConnectPages
from broker.web.consent import ConsentPages
from broker.web.context import Web
from broker.web.device import TRIES as DEVICE_TRIES
from broker.web.device import DevicePages
from broker.web.grant import GrantPages
from broker.web.grant_keys import GrantKeysPages
from broker.web.grant_moves import GrantMoves
from broker.web.grants import GrantsPages
from broker.web.help import HelpPages
from broker.web.key_limit import KeyLimitPages
from broker.web.keys import KeyPages
from broker.web.limits import LimitsPages
from broker.web.middleware import TOKEN_ALIAS
from broker.web.receipts import ReceiptPages
from broker.web.setup import SetupPages
from broker.web.sign_in import SignInPages

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
    prover: ResourceProofs
    fetch: Fetch


Route = tuple[str, str, Endpoint, str]
"""Path, method, endpoint, and who may call it."""


def table(parts: Parts) -> list[Route]:
    """Everything that is answered, but for the calls under /proxy, which the proxy has a table of its own for."""
    addresses = Addresses(parts.settings.trusted_proxies)
    programs = _for_programs(parts, addresses)
    told = [*((method, path) for path, method, _, _ in programs), ("GET", OPENAPI)]
    described = Document(document(parts.settings, told, DIALECTS))
    return [*programs, (OPENAPI, "GET", described.endpoint, "anyone"), *_for_people(parts, addresses)]


# fmt: off
def _for_programs(parts: Parts, addresses: Addresses) -> list[Route]:
    oauth = AuthorizationServer.build(
        parts.db, parts.clock, parts.settings, parts.signer,
        catalogue=Catalogue(
            knows=lambda name: parts.registry.get(name) is not None,
            sellers=lambda model: sellers(parts.registry, parts.prices, model, parts.clock()),
        ),
        user_codes=_user_codes(parts),
        is_signed_in=lambda request: _is_signed_in(parts.web, request),
        address_of=addresses,
        proofs=parts.prover.reader,
        registrations=_registrations(parts),
        fetch=parts.fetch,
    )
    health = Health({"database": lambda: _database(parts), "vault": lambda: _vault(parts)})
    metrics = Metrics(
        lambda: parts.db.read_core(measure), parts.clock, parts.settings.metrics_token,
        lambda request: is_loopback(addresses(request)), __version__,
    )
    return [
        ("/.well-known/oauth-authorization-server",           "GET",  oauth.discovery.server,            "anyone"),
        ("/.well-known/oauth-protected-resource/proxy",       "GET",  oauth.discovery.resource,          "anyone"),
        ("/.well-known/jwks.json",                            "GET",  oauth.discovery.keys,              "anyone"),
        ("/schemas/ai_model_access.json",                     "GET",  oauth.discovery.details_schema,    "anyone"),
        ("/schemas/consent_receipt.json",                     "GET",  oauth.discovery.receipt_schema,    "anyone"),
        ("/oauth/authorize",                                  "GET",  oauth.authorize.endpoint,          "a browser, sent by a client"),
        ("/oauth/authorize",                                  "POST", oauth.authorize.endpoint,          "a browser, sent by a client"),
        ("/oauth/par",                                        "POST", oauth.par.endpoint,                "a client"),
        ("/oauth/device_authorization",                       "POST", oauth.device.endpoint,             "a client"),
        ("/oauth/token",                                      "POST", oauth.token.endpoint,              "a client"),
        (TOKEN_ALIAS,                                         "POST", oauth.token.alias,                 "a client"),
        ("/oauth/revoke",                                     "POST", oauth.revoke.endpoint,             "a client"),
        ("/oauth/introspect",                                 "POST", oauth.introspect.endpoint,         "a client with a secret"),
        ("/oauth/grants/{grant_id}",                          "GET",  oauth.grants.show,                 "its client"),
        ("/oauth/grants/{grant_id}/receipts",                 "GET",  oauth.grants.receipts,             "its client"),
        ("/oauth/grants/{grant_id}",                          "DELETE", oauth.grants.revoke,             "its client"),
        ("/oauth/register",                                   "POST", oauth.registration.endpoint,       "anyone, where it is on"),
        ("/oauth/register/{client_id}",                       "GET",  oauth.registered.show,             "a client that registered itself"),
        ("/oauth/register/{client_id}",                       "PUT",  oauth.registered.replace,          "a client that registered itself"),
        ("/oauth/register/{client_id}",                       "DELETE", oauth.registered.remove,         "a client that registered itself"),
        ("/health/live",                                      "GET",  health.live,                       "anyone"),
        ("/health/ready",                                     "GET",  health.ready,                      "anyone"),
        (METRICS,                                             "GET",  metrics.endpoint,                  "this machine, or whoever has the token for it"),
    ]


def _for_people(parts: Parts, addresses: Addresses) -> list[Route]:
    web, settings = parts.web, parts.settings
    passwords = Passwords()
    throttle = Throttle(parts.vault.derive("throttle"), settings.sign_in_tries, settings.sign_in_tries_address)
    sign_in = SignInPages(web, SignIn(parts.db, parts.clock, passwords, throttle), addresses)
    setup = SetupPages(web, passwords, throttle, addresses)
    grants, grant, moves, limits = GrantsPages(web), GrantPages(web), GrantMoves(web), LimitsPages(web)
    agents = AgentMoves(web)
    check, receipts = KeyCheck(parts.client), ReceiptPages(web)
    consent = ConsentPages(web, check, parts.signer)
    device_tries = Throttle(parts.vault.derive("device tries"), *DEVICE_TRIES)
    device = DevicePages(web, DeviceEntry(_user_codes(parts), parts.vault), device_tries, addresses)
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
        ("/device",                                           "GET",  device.show,                       "a user"),
        ("/device",                                           "POST", device.enter,                      "a user"),
        ("/grants",                                           "GET",  grants.list,                       "a user"),
        ("/grants/pause-all",                                 "GET",  grants.confirm_pause_all,          "a user"),
        ("/grants/pause-all",                                 "POST", grants.pause_all,                  "a user"),
        ("/grants/{grant_id}",                                "GET",  grant.show,                        "its user"),
        ("/grants/{grant_id}/pause",                          "POST", moves.pause,                       "its user"),
        ("/grants/{grant_id}/resume",                         "POST", moves.resume,                      "its user"),
        ("/grants/{grant_id}/key",                            "POST", moves.want_key,                    "its user"),
        ("/grants/{grant_id}/agents",                         "POST", agents.revoke,                     "its user"),
        ("/grants/{grant_id}/revoke",                         "GET",  moves.confirm_revoke,              "its user"),
        ("/grants/{grant_id}/revoke",                         "POST", moves.revoke,                      "its user"),
        ("/grants/{grant_id}/receipts/{receipt_id}",          "GET",  receipts.signed,                   "its user"),
        ("/grants/{grant_id}/receipts/{receipt_id}/shown",    "GET",  receipts.shown,                    "its user"),
        ("/grants/{grant_id}/limits",                         "GET",  limits.show,                       "its user"),
        ("/grants/{grant_id}/limits",                         "POST", limits.save,                       "its user"),
        *_for_keys(web, check, parts.client),
        ("/help/what-apps-see",                               "GET",  HelpPages(web).what_apps_see,      "anyone"),
        ("/static/{name}",                                    "GET",  web.static.file,                   "anyone"),
    ]


def _for_keys(web: Web, check: KeyCheck, client: ProviderClient) -> list[Route]:
    keys, limit, grant_keys = KeyPages(web, check), KeyLimitPages(web), GrantKeysPages(web)
    connect = ConnectPages(web, client)
    return [
        ("/keys/connect",                                     "POST", connect.leave,                     "a user"),
        ("/keys/connected",                                   "GET",  connect.come_back,                 "a user"),
        ("/grants/{grant_id}/keys",                           "GET",  grant_keys.show,                   "its user"),
        ("/grants/{grant_id}/keys",                           "POST", grant_keys.save,                   "its user"),
        ("/keys",                                             "GET",  keys.list,                         "a user"),
        ("/keys/new",                                         "GET",  keys.show_new,                     "a user"),
        ("/keys/new",                                         "POST", keys.add,                          "a user"),
        ("/keys/{credential_id}/limit",                       "GET",  limit.show,                        "its user"),
        ("/keys/{credential_id}/limit",                       "POST", limit.save,                        "its user"),
        ("/keys/{credential_id}/replace",                     "GET",  keys.show_replace,                 "its user"),
        ("/keys/{credential_id}/replace",                     "POST", keys.replace,                      "its user"),
        ("/keys/{credential_id}/remove",                      "GET",  keys.show_remove,                  "its user"),
        ("/keys/{credential_id}/remove",                      "POST", keys.remove,                       "its user"),
        ("/keys/{credential_id}/check",                       "POST", keys.check,                        "its user"),
    ]
# fmt: on


def sellers(registry: Registry, prices: PriceBook, model: str, now: int) -> tuple[str, ...]:
    """The providers that have a price for a model; people's own servers where there is no other, since theirs may be for any."""
    selling = [name for name in registry.names() if prices.find(name, model, now) is not None]
    return tuple(name for name in selling if name != BROUGHT) or tuple(selling)


def _registrations(parts: Parts) -> Throttle:
    most = parts.settings.client_registrations_address
    return Throttle(parts.vault.derive("registrations"), most, most)


def _user_codes(parts: Parts) -> UserCodes:
    return UserCodes(parts.vault.derive("device"))


async def _is_signed_in(web: Web, request: Request) -> bool:
    return await web.sessions.current(request) is not None


async def _database(parts: Parts) -> None:
    await parts.db.read(changes.count)


async def _vault(parts: Parts) -> None:
    await parts.db.read(lambda tx: check_value_opens(tx, parts.vault))
