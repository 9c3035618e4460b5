"""Grant requests, grants and their accesses, and the tokens that carry them."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from broker.core.access import DETAILS_TYPES, PERIODS, TYPE
from broker.core.grant import GrantState, RequestState
from broker.store.columns import STRICT, check, flag, number, one_of, partial, text

ORIGINS = ("consent", "operator")
REQUEST_KINDS = ("code", "device")
MANAGEMENT_ACTIONS = ("", "create", "replace", "merge")
STRATEGIES = ("priority", "round_robin", "least_used", "affinity")
"""By which of its keys an access goes on where it has several."""

SEALED = "sealed_code <> ''"
"""Of a grant request with a copy of its code that the done page may still show."""


class GrantRequest(SQLModel, table=True):
    """What a client asks for, from the pushed or plain authorization request to the person's answer."""

    __tablename__ = "grant_request"
    __table_args__ = (
        one_of("state", [state.value for state in RequestState]),
        one_of("kind", REQUEST_KINDS),
        one_of("action", MANAGEMENT_ACTIONS),
        one_of("details_type", DETAILS_TYPES),
        check("(state = 'approved') = (grant_id IS NOT NULL)", "approved_has_grant"),
        # Looked for every few seconds, and never more than the codes of one minute.
        partial("ix_grant_request_sealed", "id", where=SEALED),
        STRICT,
    )

    id: str = text(primary_key=True)
    pushed_digest: str | None = text(unique=True, default=None, nullable=True)
    """Digest of the request_uri (RFC 9126); null for a plain request."""
    client_id: str = text(foreign_key="client.id", index=True)
    redirect_uri: str = text()
    client_state: str | None = text(default=None, nullable=True)
    """The client's `state`, given back unchanged."""
    code_challenge: str = text()
    asked: str = text()
    """authorization_details as asked, JSON."""
    state: str = text(default=RequestState.PENDING.value)
    created_at: int = number()
    opened_at: int | None = number(default=None, nullable=True)
    """When the authorization endpoint first saw it; a pushed one is short-lived until then."""
    ends_at: int = number()
    user_id: str | None = text(foreign_key="user.id", index=True, default=None, nullable=True)
    """Who last opened it signed in; who decided, once it is decided."""
    decided_at: int | None = number(default=None, nullable=True)
    grant_id: str | None = text(foreign_key="grant.id", default=None, nullable=True)
    granted: str = text(default="[]")
    """authorization_details as granted, JSON, for the done page."""
    sealed_code: str = text(default="")
    """The done page's copy of the code; erased at exchange or once the code has ended."""
    kind: str = text(default="code")
    """How the answer reaches the client: by a code in the browser, or by a device that asks again and again."""
    action: str = text(default="")
    """grant_management_action; empty where none was given."""
    asked_grant_id: str = text(default="")
    """The grant that is to be replaced or merged with."""
    dpop_jkt: str = text(default="")
    """Thumbprint of the key that the code will be bound to (RFC 9449 §10)."""
    details_type: str = text(default=TYPE)
    """The type that the client asked in, and will be answered in."""


class Grant(SQLModel, table=True):
    """The stored decision: who lets which client spend, until it ends."""

    __tablename__ = "grant"
    __table_args__ = (
        one_of("state", [state.value for state in GrantState]),
        one_of("origin", ORIGINS),
        flag("dpop_required"),
        Index("ix_grant_user_id_client_id", "user_id", "client_id"),
        STRICT,
    )

    id: str = text(primary_key=True)
    user_id: str = text(foreign_key="user.id")
    client_id: str = text(foreign_key="client.id", index=True)
    state: str = text(default=GrantState.ACTIVE.value)
    origin: str = text(default="consent")
    created_at: int = number()
    changed_at: int = number()
    ended_at: int | None = number(default=None, nullable=True)
    ended_by: str = text(default="")
    """Pseudonym, client id or `operator`, once revoked."""
    paused_by: str = text(default="")
    """Pseudonym or `operator`, while it is paused: what the operator paused, its user cannot resume."""
    dpop_required: int = number(default=0)
    """The person wants every token of it bound to a key."""


class Access(SQLModel, table=True):
    """One element of a grant: what may be used with which credential, and how much; null is no limit."""

    __tablename__ = "access"
    __table_args__ = (
        UniqueConstraint("grant_id", "position"),
        one_of("budget_per", PERIODS),
        one_of("strategy", ["", *STRATEGIES]),
        check("budget >= 0 AND position >= 0", "not_negative"),
        STRICT,
    )

    id: str = text(primary_key=True)
    grant_id: str = text(foreign_key="grant.id")
    position: int = number()
    credential_id: str = text(foreign_key="credential.id", index=True)
    provider: str = text()
    models: str = text()
    """JSON array of ids and prefixes."""
    actions: str = text()
    """JSON array."""
    budget: int = number()
    """Micro-dollars a period: the figure typed; the counter row holds what is enforced."""
    budget_per: str = text(default="grant")
    max_requests: int | None = number(default=None, nullable=True)
    requests_per_minute: int | None = number(default=None, nullable=True)
    tokens_per_minute: int | None = number(default=None, nullable=True)
    concurrent: int | None = number(default=None, nullable=True)
    max_output_tokens: int | None = number(default=None, nullable=True)
    ends_at: int = number()
    locations: str | None = text(default=None, nullable=True)
    purpose: str = text(default="")
    created_at: int = number()
    ended_at: int | None = number(default=None, nullable=True)
    strategy: str = text(default="", sa_column_kwargs={"server_default": ""})
    """One of STRATEGIES where it has spare keys; empty while its credential is the only one."""


class Code(SQLModel, table=True):
    """An authorization code, by digest; used once."""

    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    request_id: str = text(foreign_key="grant_request.id", index=True)
    grant_id: str = text(foreign_key="grant.id", index=True)
    client_id: str = text(foreign_key="client.id")
    redirect_uri: str = text()
    code_challenge: str = text()
    ends_at: int = number()
    used_at: int | None = number(default=None, nullable=True)
    family_id: str | None = text(foreign_key="token_family.id", default=None, nullable=True)


class Device(SQLModel, table=True):
    """A device that waits for the person's answer on another one (RFC 8628); both its codes by digest."""

    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    user_code_digest: str = text(unique=True)
    """Keyed: so short a code could be found again from a plain digest."""
    sealed_user_code: str = text(default="")
    """For the consent page, once a person has entered it."""
    request_id: str = text(foreign_key="grant_request.id", unique=True)
    client_id: str = text(foreign_key="client.id")
    asked_from: str = text()
    """The network address that asked, as far as it can be believed."""
    claim: str = text()
    """What the device says it is; nobody has checked that."""
    created_at: int = number()
    interval: int = number()
    """Seconds between two polls; grows with each that comes too soon."""
    polled_at: int | None = number(default=None, nullable=True)
    ends_at: int = number()
    used_at: int | None = number(default=None, nullable=True)
    family_id: str | None = text(foreign_key="token_family.id", default=None, nullable=True)


class ConsentReceipt(SQLModel, table=True):
    """What was asked, shown and granted at one approval, signed, for both sides to keep."""

    __tablename__ = "consent_receipt"
    __table_args__ = (STRICT,)

    id: str = text(primary_key=True)
    request_id: str = text(unique=True)
    """Of a request that cleanup may have deleted since."""
    grant_id: str = text(foreign_key="grant.id", index=True)
    user_id: str = text(foreign_key="user.id")
    client_id: str = text(foreign_key="client.id")
    signed: str = text()
    """A JWS of type consent-receipt+jwt."""
    shown: str = text()
    """What the page said, word for word, with a salt; only its digest is signed, and only the person sees it."""
    created_at: int = number()


class TokenFamily(SQLModel, table=True):
    """All tokens that descend from one code; revoked together."""

    __tablename__ = "token_family"
    __table_args__ = (one_of("details_type", DETAILS_TYPES), STRICT)

    id: str = text(primary_key=True)
    grant_id: str = text(foreign_key="grant.id", index=True)
    client_id: str = text(foreign_key="client.id")
    created_at: int = number()
    revoked_at: int | None = number(default=None, nullable=True)
    dpop_jkt: str = text(default="")
    """Thumbprint of the key that the refresh tokens of a public client are bound to."""
    details_type: str = text(default=TYPE)
    """The type of authorization_details that the client is answered in."""


class RefreshToken(SQLModel, table=True):
    """A refresh token, by digest; a rotated one used again revokes its family."""

    __tablename__ = "refresh_token"
    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    family_id: str = text(foreign_key="token_family.id", index=True)
    created_at: int = number()
    ends_at: int = number()
    rotated_at: int | None = number(default=None, nullable=True)
    successor: str = text(default="")
    """Digest of the token that replaced it; empty while it is the newest."""


class AccessToken(SQLModel, table=True):
    """An access token that lives; judged with its grant in every reservation."""

    __tablename__ = "access_token"
    __table_args__ = (STRICT,)

    jti: str = text(primary_key=True)
    grant_id: str = text(foreign_key="grant.id", index=True)
    client_id: str = text(foreign_key="client.id")
    family_id: str | None = text(foreign_key="token_family.id", index=True, default=None, nullable=True)
    parent_jti: str | None = text(foreign_key="access_token.jti", index=True, default=None, nullable=True)
    created_at: int = number()
    ends_at: int = number()
    caps: str | None = text(default=None, nullable=True)
    """JSON object, access id → the narrowed element; null when the token is worth the whole grant."""
    revoked_at: int | None = number(default=None, nullable=True)
    dpop_jkt: str = text(default="")
    """Thumbprint of the key it is bound to (cnf.jkt); empty for a bearer token."""
    name: str = text(default="")
    """What its client calls the agent that it gave it to; of a token that was made out of another one."""
