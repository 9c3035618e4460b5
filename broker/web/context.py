"""What every page is handed: built once, by app.py."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.core.clock import Clock
from broker.settings import Settings
from broker.store.database import Database
from broker.vault.vault import Vault
from broker.web.cookies import Cookies
from broker.web.flash import Flashes
from broker.web.form_token import FormTokens
from broker.web.pages import Pages
from broker.web.session import Sessions
from broker.web.static import StaticFiles

if TYPE_CHECKING:
    from broker.prices.book import PriceBook
    from broker.providers.registry import Registry


@dataclass(frozen=True, slots=True)
class Web:
    db: Database
    clock: Clock
    settings: Settings
    vault: Vault
    static: StaticFiles
    cookies: Cookies
    tokens: FormTokens
    pages: Pages
    sessions: Sessions
    registry: "Registry"
    prices: "PriceBook"


def make_web(
    db: Database, clock: Clock, settings: Settings, vault: Vault, registry: "Registry", prices: "PriceBook"
) -> Web:
    static = StaticFiles()
    cookies = Cookies(secure=settings.secure)
    tokens = FormTokens(vault, settings.public_url)
    flashes = Flashes(vault, cookies)
    return Web(
        db=db,
        clock=clock,
        settings=settings,
        vault=vault,
        static=static,
        cookies=cookies,
        tokens=tokens,
        pages=Pages(settings, clock, tokens, flashes, static),
        sessions=Sessions(db, clock, settings, cookies, tokens, flashes),
        registry=registry,
        prices=prices,
    )
