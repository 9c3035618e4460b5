"""What calls left at providers: each object belongs to the grant whose call made it."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from broker.store.columns import STRICT, number, one_of, text

OBJECT_KINDS = ("response", "file", "batch", "conversation")
JOB_KINDS = ("response", "file", "batch")


class ProviderObject(SQLModel, table=True):
    """A response, a file, a batch or a conversation that is kept at a provider, by the digest of its id there."""

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
    """Of a response or a conversation: the most input that it is for what follows; null while that is not known."""
    facts: str = text(default="{}")
    """JSON: what was learnt of it when it was made, by its kind."""
    created_at: int = number()
    ends_at: int | None = number(default=None, nullable=True)
    """When the provider will have deleted it; null where it does not by itself."""


class ProviderJob(SQLModel, table=True):
    """Work that goes on at a provider after its call was answered: its hold stays until this ends."""

    __tablename__ = "provider_job"
    __table_args__ = (one_of("kind", JOB_KINDS), STRICT)

    reservation_id: str = text(primary_key=True, foreign_key="reservation.id")
    digest: str = text(index=True)
    """Of the object that it makes."""
    kind: str = text()
    provider: str = text()
    remote_id: str = text()
    """Its id at the provider, which only the provider's key makes use of; gone with the row when the work has ended."""
    grant_id: str = text(foreign_key="grant.id")
    access_id: str = text(foreign_key="access.id")
    credential_id: str = text(foreign_key="credential.id")
    most: int = number()
    """Requests that are in it."""
    most_input: int | None = number(default=None, nullable=True)
    """Input tokens of one request above which it has another price; null where there is one price."""
    created_at: int = number()
    due_at: int = number()
    """When somebody looks next; whoever looks moves it on first."""
    pause: int = number()
    """Microseconds until the look after that."""
    cancelled_at: int | None = number(default=None, nullable=True)
    """When the provider was asked to end it."""
