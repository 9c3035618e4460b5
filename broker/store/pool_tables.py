"""Several credentials behind one access: which they are, which of them rest, and what each attempt of a call came to."""

from sqlmodel import SQLModel

from broker.store.columns import STRICT, check, number, one_of, text

CAUSES = ("rate_limited", "refused", "no_credit")
"""Why a provider does not take calls with a key for a while."""


class SpareKey(SQLModel, table=True):
    """A credential that an access may use besides its first one; the first is the access's own `credential_id`."""

    __tablename__ = "spare_key"
    __table_args__ = (check("priority >= 1", "after_the_first"), STRICT)

    access_id: str = text(primary_key=True, foreign_key="access.id")
    priority: int = number(primary_key=True)
    credential_id: str = text(foreign_key="credential.id", index=True)


class Quarantine(SQLModel, table=True):
    """A credential that rests until the provider takes calls with it again, as far as the provider says when."""

    __table_args__ = (one_of("cause", CAUSES), check("until > since", "ends_later"), STRICT)

    credential_id: str = text(primary_key=True, foreign_key="credential.id")
    version: int = number()
    """Of the key that rests: one put into its place since does not."""
    cause: str = text()
    since: int = number()
    until: int = number()


class CallAttempt(SQLModel, table=True):
    """An attempt that did not run and was followed by another with the next key; the last one is the reservation itself."""

    __tablename__ = "call_attempt"
    __table_args__ = (check("place >= 1", "counts"), STRICT)

    reservation_id: str = text(primary_key=True, foreign_key="reservation.id", ondelete="CASCADE")
    place: int = number(primary_key=True)
    """1 for the first."""
    credential_id: str = text(foreign_key="credential.id")
    started_at: int = number()
    ended_at: int = number()
    status: int = number()
    """The provider's HTTP status; 0 when none came."""
    outcome: str = text()
    """As of a reservation."""
