"""Connecting an account at a provider that gives tokens instead of keys: there, and back again with a code (RFC 6749, 7636)."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlencode

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.core.clock import MINUTE, SECOND
from broker.core.errors import PageError
from broker.core.handle import digest, new_handle
from broker.core.secret import Secret
from broker.providers.client import ProviderClient
from broker.providers.registry import label
from broker.providers.token_endpoint import Endpoint, Granted, TokenRefused, TokenUnavailable, ask_token
from broker.store import oauth_tokens
from broker.store.tables import User
from broker.store.token_tables import OAuthConnect, ProviderOAuth
from broker.vault.credentials import add_tokens
from broker.vault.oauth_providers import client_secret
from broker.vault.oauth_tokens import Tokens
from broker.vault.places import verifier_place
from broker.web.context import Web
from broker.web.forms import read_form, read_query
from broker.web.session import SignedIn

CONNECT = "keys:connect"
BACK = "/keys/connected"
LASTS = 10 * MINUTE
"""From leaving for the provider to coming back."""


class ConnectPages:
    def __init__(self, web: Web, client: ProviderClient) -> None:
        self._web = web
        self._client = client

    async def leave(self, request: Request) -> Response:
        """A page with the way there: a form may not lead to another site (CSP `form-action`)."""
        web = self._web
        signed_in = await web.sessions.require(request)
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, CONNECT)
        provider = form.text("provider")
        state, verifier = new_handle("cst"), Secret(new_handle("ver"))
        known = await web.db.write(lambda tx: self._begin(tx, signed_in, provider, state, verifier))
        asked = {
            "response_type": "code",
            "client_id": known.client_id,
            "redirect_uri": self._redirect_uri,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        if known.scopes:
            asked["scope"] = known.scopes
        joint = "&" if "?" in known.authorize_url else "?"
        return web.pages.render(
            request,
            "key_connect.html",
            signed_in=signed_in,
            name=label(provider),
            address=f"{known.authorize_url}{joint}{urlencode(asked)}",
        )

    async def come_back(self, request: Request) -> Response:
        web = self._web
        signed_in = await web.sessions.require(request)
        query = read_query(request)
        row = await web.db.write(lambda tx: oauth_tokens.take_connect(tx, digest(query.text("state"))))
        if row is None or not self._is_theirs(row, signed_in):
            what = "It was used before, has taken too long, or was begun in another browser."
            raise PageError(400, "This answer cannot be used", what, did_not="No account was connected.")
        response = RedirectResponse("/keys", 303)
        name, code = label(row.provider), query.text("code")
        granted = await self._granted(row, code) if code else None
        if granted is None:
            web.sessions.flash(response, f"{name} gave no access, so nothing was connected.", "bad")
            return response
        await web.db.write(lambda tx: self._add(tx, signed_in.user, row, granted))
        web.sessions.flash(response, f"Your {name} account is connected.")
        return response

    @property
    def _redirect_uri(self) -> str:
        return self._web.settings.public_url + BACK

    async def _begin(
        self, tx: AsyncSession, signed_in: SignedIn, provider: str, state: str, verifier: Secret
    ) -> ProviderOAuth:
        known = await oauth_tokens.settings_of(tx, provider)
        if known is None or self._web.registry.get(provider) is None:
            raise PageError(
                404, "There is no such provider to connect to", "Whoever runs this server has not set it up."
            )
        now, found = self._web.clock(), digest(state)
        row = OAuthConnect(
            digest=found,
            user_id=signed_in.user.id,
            session_digest=signed_in.digest,
            provider=provider,
            sealed_verifier=self._web.vault.seal(verifier, verifier_place(found, signed_in.user.id)),
            ends_at=now + LASTS,
        )
        await oauth_tokens.begin_connect(tx, row, now)
        return known

    def _is_theirs(self, row: OAuthConnect, signed_in: SignedIn) -> bool:
        """The browser that comes back is the one that left (RFC 6819 §4.4.1.8)."""
        same = row.user_id == signed_in.user.id and row.session_digest == signed_in.digest
        return same and row.ends_at > self._web.clock()

    async def _granted(self, row: OAuthConnect, code: str) -> Granted | None:
        web = self._web
        known = await web.db.read(lambda tx: oauth_tokens.settings_of(tx, row.provider))
        if known is None:
            return None
        verifier = web.vault.open(row.sealed_verifier, verifier_place(row.digest, row.user_id))
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        endpoint = Endpoint(known.token_url, known.client_id, client_secret(web.vault, known))
        try:
            return await ask_token(self._client, endpoint, form)
        except (TokenRefused, TokenUnavailable):
            return None

    async def _add(self, tx: AsyncSession, user: User, row: OAuthConnect, granted: Granted) -> None:
        now = self._web.clock()
        tokens = Tokens(granted.access_token, granted.refresh_token, now + granted.expires_in * SECOND)
        await add_tokens(
            tx,
            self._web.vault,
            provider=row.provider,
            tokens=tokens,
            name="Account",
            user_id=user.id,
            now=now,
            by=user.pseudonym,
        )


def _challenge(verifier: Secret) -> str:
    return urlsafe_b64encode(sha256(verifier.reveal().encode()).digest()).rstrip(b"=").decode()
