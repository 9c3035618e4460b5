"""Credentials that are tokens of a provider's own authorization server, and what it takes to ask that server."""

from sqlmodel import SQLModel

from broker.store.columns import STRICT, number, text


class ProviderOAuth(SQLModel, table=True):
    """Where a provider gives tokens for its API, and this broker as the client that is registered there."""

    __tablename__ = "provider_oauth"
    __table_args__ = (STRICT,)

    provider: str = text(primary_key=True)
    authorize_url: str = text()
    token_url: str = text()
    client_id: str = text()
    sealed_secret: str = text(default="")
    """Empty for a public client."""
    scopes: str = text(default="")
    """Separated by spaces."""
    changed_at: int = number()


class OAuthToken(SQLModel, table=True):
    """That a credential is a pair of tokens, which are sealed in it; refreshed by one process at a time."""

    __tablename__ = "oauth_token"
    __table_args__ = (STRICT,)

    credential_id: str = text(primary_key=True, foreign_key="credential.id")
    expires_at: int = number()
    """Of its access token."""
    lease: str = text(default="")
    """Whose turn it is to refresh it."""
    lease_ends_at: int = number(default=0)


class OAuthConnect(SQLModel, table=True):
    """A person on their way to a provider's authorization server and back, by the digest of `state`."""

    __tablename__ = "oauth_connect"
    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    user_id: str = text(foreign_key="user.id")
    session_digest: str = text()
    provider: str = text()
    sealed_verifier: str = text()
    """Of PKCE (RFC 7636)."""
    ends_at: int = number()
