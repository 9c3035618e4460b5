"""The ways to a token, and which of them a client may take."""

from broker.core.errors import OAuthError
from broker.oauth.clients import may_use
from broker.settings import Settings
from broker.store.tables import Client

CODE = "authorization_code"
REFRESH = "refresh_token"
CLIENT_CREDENTIALS = "client_credentials"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def offered(settings: Settings) -> tuple[str, ...]:
    """What this installation takes at the token endpoint."""
    switched = {DEVICE_CODE: settings.device_grant, TOKEN_EXCHANGE: settings.exchange_depth > 0}
    return (CODE, REFRESH, CLIENT_CREDENTIALS, *(name for name, on in switched.items() if on))


def require_use(client: Client, grant_type: str) -> None:
    """Raises OAuthError for a client that is registered for others only (RFC 6749 §5.2)."""
    if not may_use(client, grant_type):
        raise OAuthError("unauthorized_client", "This client is not registered for this grant type.")
