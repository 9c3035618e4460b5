"""Limits above the grants, and how near to its limit whatever is limited has come."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from broker.store.columns import STRICT, check, number, one_of, text

OVERALL_SCOPES = ("credential", "tier", "provider")
OVERALL_PERIODS = ("grant", "day", "week", "month", "tier")
"""`grant` never begins again."""


class OverallLimit(SQLModel, table=True):
    """One limit above the grants; null is no limit."""

    __tablename__ = "overall_limit"
    __table_args__ = (
        one_of("scope_kind", OVERALL_SCOPES),
        one_of("per", OVERALL_PERIODS),
        check("budget >= 0 AND max_requests >= 0", "not_negative"),
        check("budget IS NOT NULL OR max_requests IS NOT NULL", "limits_something"),
        check("(scope_kind = 'tier') = (per = 'tier')", "tier_per_tier"),
        STRICT,
    )

    scope_kind: str = text(primary_key=True)
    scope_id: str = text(primary_key=True)
    """A provider's or tier's name; user id/credential id of a key, or /credential id for every user of it who has none."""
    budget: int | None = number(default=None, nullable=True)
    """Micro-dollars a period: the figure typed; the counter rows hold what is enforced."""
    max_requests: int | None = number(default=None, nullable=True)
    per: str = text()
    changed_at: int = number()


class UserTier(SQLModel, table=True):
    """The tier that the operator put a user in, and the day of the month on which its allocation begins again."""

    __tablename__ = "user_tier"
    __table_args__ = (check("anchor_day BETWEEN 1 AND 31", "anchor_day_in_month"), STRICT)

    user_id: str = text(primary_key=True, foreign_key="user.id")
    tier: str = text(index=True)
    anchor_day: int = number(default=1)


class Threshold(SQLModel, table=True):
    """A counter came to 50, 80 or 100 per cent of its limit: one row each, written with the settlement that brought it there.

    It is named by the counter's key and the figure typed: another limit in the same period is another one to come near to.
    """

    __table_args__ = (
        check("percent IN (50, 80, 100)", "percent_known"),
        Index("ix_threshold_at", "at"),
        STRICT,
    )

    scope_kind: str = text(primary_key=True)
    scope_id: str = text(primary_key=True)
    measure: str = text(primary_key=True)
    period_kind: str = text(primary_key=True)
    period_start: int = number(primary_key=True)
    limit: int = number(primary_key=True)
    percent: int = number(primary_key=True)
    used: int = number()
    """What was settled then, overruns included."""
    at: int = number()
