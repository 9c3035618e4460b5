"""What calls left at providers: each object belongs to the grant whose call made it."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from broker.store.columns import STRICT, number, one_of, text

OBJECT_KINDS = ("response", "file", "batch")


class ProviderObject(SQLModel, table=True):
    """A response, a file or a batch that is kept at a provider, by the digest of its id there."""

    __tablename__ = "provider_object"
    __table_args__ = (
        one_of("kind", OBJECT_KINDS),
        Index("ix_provider_object_grant_id", "grant_id"),
        STRICT,
    )

    digest: str = text(primary_key=True)
    provider: str = text()
    kind: str = text()
    grant_id: str = text(foreign_key="grant.id")
    access_id: str = text(foreign_key="access.id")
    credential_id: str = text(foreign_key="credential.id")
    """Whose key can name it at the provider."""
    model: str = text()
    """Empty where none had to do with it."""
    tokens: int | None = number(default=None, nullable=True)
    """Of a response: the most input that it is for the one that follows it; null while that is not known."""
    facts: str = text(default="{}")
    """JSON: what was learnt of it when it was made, by its kind."""
    created_at: int = number()
    ends_at: int | None = number(default=None, nullable=True)
    """When the provider will have deleted it; null where it does not by itself."""
