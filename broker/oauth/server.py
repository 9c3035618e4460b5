"""The authorization server put together: its endpoints, for the table of routes."""

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from broker.core.clock import Clock
from broker.identity.throttle import Throttle as Tries
from broker.oauth.asked_details import Catalogue
from broker.oauth.assertion import Assertions
from broker.oauth.authorize import Authorize, IsSignedIn
from broker.oauth.client_auth import ClientAuthentication
from broker.oauth.client_credentials import ClientCredentials
from broker.oauth.client_documents import ClientDocuments
from broker.oauth.client_keys import ClientKeys
from broker.oauth.device import DeviceAuthorization
from broker.oauth.device_exchange import DeviceExchange
from broker.oauth.exchange import CodeExchange
from broker.oauth.first_tokens import FirstTokens
from broker.oauth.form_post import AddressOf, FormPost
from broker.oauth.grant_types import CLIENT_CREDENTIALS, CODE, DEVICE_CODE, TOKEN_EXCHANGE, offered
from broker.oauth.grants_api import GrantsEndpoint
from broker.oauth.introspect import Introspection, IntrospectionEndpoint
from broker.oauth.known_clients import KnownClients
from broker.oauth.metadata import Discovery
from broker.oauth.paced_fetch import PacedFetch
from broker.oauth.par import PushedRequests
from broker.oauth.proof_reader import ProofReader
from broker.oauth.refresh import Refresh
from broker.oauth.registration import Registration
from broker.oauth.registration_management import RegistrationManagement
from broker.oauth.replays import Replays
from broker.oauth.resource_proofs import ResourceProofs
from broker.oauth.revoke import Revocation
from broker.oauth.signing import Signer
from broker.oauth.throttle import Throttle
from broker.oauth.token import Exchange, RevocationEndpoint, TokenEndpoint
from broker.oauth.token_exchange import TokenExchange
from broker.oauth.user_code import UserCodes
from broker.providers.fetch import Fetch
from broker.settings import Settings
from broker.store.database import Database


def peer_address(request: Request) -> str:
    """The address of the connection itself."""
    return request.client.host if request.client is not None else ""


def _exchanges(signer: Signer, settings: Settings) -> dict[str, Exchange]:
    first_tokens = FirstTokens(signer, settings)
    every: dict[str, Exchange] = {
        CODE: CodeExchange(first_tokens, settings),
        CLIENT_CREDENTIALS: ClientCredentials(signer, settings),
        DEVICE_CODE: DeviceExchange(first_tokens, settings),
        TOKEN_EXCHANGE: TokenExchange(signer, settings),
    }
    return {name: exchange for name, exchange in every.items() if name in offered(settings)}


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    par: PushedRequests
    authorize: Authorize
    device: DeviceAuthorization
    token: TokenEndpoint
    revoke: RevocationEndpoint
    introspect: IntrospectionEndpoint
    grants: GrantsEndpoint
    discovery: Discovery
    registration: Registration
    registered: RegistrationManagement

    @classmethod
    def build(
        cls,
        db: Database,
        clock: Clock,
        settings: Settings,
        signer: Signer,
        *,
        catalogue: Catalogue,
        user_codes: UserCodes,
        is_signed_in: IsSignedIn,
        address_of: AddressOf = peer_address,
        proofs: ProofReader,
        registrations: Tries,
        fetch: Fetch | None = None,
    ) -> Self:
        paced, strangers = _paced(fetch, clock), _paced(fetch, clock)
        assertions = Assertions(db, clock, settings.public_url, ClientKeys(paced, clock, strangers))
        find = KnownClients(db, clock, _documents(db, clock, settings, strangers))
        authentication = ClientAuthentication(find, assertions)
        throttle = Throttle(settings.oauth_requests_a_minute, clock)
        post = FormPost(db, clock, throttle, address_of, authentication, proofs, Replays(db, clock))
        registration = Registration(db, clock, settings, throttle, registrations, address_of)
        return cls(
            par=PushedRequests(post, settings, catalogue),
            authorize=Authorize(post, find, settings, catalogue, is_signed_in),
            device=DeviceAuthorization(post, settings, catalogue, user_codes),
            token=TokenEndpoint(post, Refresh(signer, settings), _exchanges(signer, settings)),
            revoke=RevocationEndpoint(post, Revocation(signer)),
            introspect=IntrospectionEndpoint(post, Introspection(signer)),
            grants=GrantsEndpoint(post, signer, ResourceProofs(db, clock, proofs)),
            discovery=Discovery(settings, signer, clock),
            registration=registration,
            registered=RegistrationManagement(registration),
        )


def _paced(fetch: Fetch | None, clock: Clock) -> Fetch | None:
    return None if fetch is None else PacedFetch(fetch, clock)


def _documents(db: Database, clock: Clock, settings: Settings, fetch: Fetch | None) -> ClientDocuments | None:
    if fetch is None or not settings.client_documents:
        return None
    return ClientDocuments(db, clock, fetch, settings.most_unused_clients)
