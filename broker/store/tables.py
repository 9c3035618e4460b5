"""People, sessions, clients and providers: every table that is not a grant, a token or the books."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from broker.store.columns import STRICT, check, flag, number, one_of, text

ROLES = ("user", "developer", "admin", "auditor")
DIALECTS = ("openai", "anthropic", "google", "mistral", "cohere", "azure")
CREDENTIAL_STATES = ("unchecked", "working", "refused")
AUTH_METHODS = ("none", "client_secret", "client_secret_basic", "client_secret_post", "private_key_jwt")
"""How a client authenticates; client_secret is either way of showing one."""
CLIENT_SOURCES = ("operator", "registration", "document")
"""Who vouches for what a client says of itself: the operator, nobody (RFC 7591), or whoever serves its document."""
KEY_PURPOSES = ("token", "receipt")


class Setting(SQLModel, table=True):
    """A fact about the whole installation: the vault's check value, the setup code's digest."""

    __table_args__ = (STRICT,)

    name: str = text(primary_key=True)
    value: str = text()


class User(SQLModel, table=True):
    """A person with an account; audit entries name them by `pseudonym` only."""

    __table_args__ = (one_of("role", ROLES), STRICT)

    id: str = text(primary_key=True)
    pseudonym: str = text(unique=True)
    email: str = text(unique=True)
    """Lower case."""
    role: str = text()
    password_hash: str = text()
    zone: str = text(default="UTC")
    created_at: int = number()
    disabled_at: int | None = number(default=None, nullable=True)


class Session(SQLModel, table=True):
    """A signed-in browser; its handle is in the cookie, here only the digest."""

    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    user_id: str = text(foreign_key="user.id", index=True)
    created_at: int = number()
    seen_at: int = number()
    ends_at: int = number()


class Attempt(SQLModel, table=True):
    """A failed try to sign in or to use the setup code, counted a person and an address."""

    __table_args__ = (Index("ix_attempt_key_at", "key", "at"), STRICT)

    id: str = text(primary_key=True)
    key: str = text()
    """Kind and digest, such as person:9f…; never the address itself."""
    at: int = number()


class Client(SQLModel, table=True):
    """A registered OAuth client; a public one has no secret."""

    __table_args__ = (
        flag("verified"),
        flag("public"),
        flag("require_pushed"),
        flag("dpop_bound"),
        flag("fapi2"),
        one_of("auth_method", AUTH_METHODS),
        one_of("source", CLIENT_SOURCES),
        STRICT,
    )

    id: str = text(primary_key=True)
    name: str = text()
    public: int = number()
    secret_digest: str = text(default="")
    """Of a confidential client's secret; empty for a public one."""
    redirect_uris: str = text()
    """JSON array of exact addresses."""
    origins: str = text(default="[]")
    address: str = text(default="")
    """The web address shown to people, if the operator gave one."""
    verified: int = number()
    created_at: int = number()
    removed_at: int | None = number(default=None, nullable=True)
    auth_method: str = text(default="none")
    source: str = text(default="operator")
    jwks: str = text(default="")
    """Its public keys (RFC 7517), as registered; empty where it has none or a jwks_uri."""
    jwks_uri: str = text(default="")
    grant_types: str = text(default="[]")
    """JSON array; an empty one is all that this server has."""
    details_types: str = text(default="[]")
    """JSON array of types of authorization_details (RFC 9396 §10); an empty one is all."""
    registered: str = text(default="{}")
    """JSON object: the other members of its registration, given back as they came."""
    registration_digest: str = text(default="")
    """Of the registration access token (RFC 7592)."""
    require_pushed: int = number(default=0)
    dpop_bound: int = number(default=0)
    """Its tokens must be bound to a key (RFC 9449 §5.2)."""
    fapi2: int = number(default=0)
    """Held to the FAPI 2.0 Security Profile."""
    used_at: int | None = number(default=None, nullable=True)
    """When it last came with something that was right; a registered one that never does expires."""
    fresh_until: int | None = number(default=None, nullable=True)
    """Until when its document need not be fetched again."""


class Provider(SQLModel, table=True):
    """A named, configured upstream; the built-in ones have a row only when the operator changed them."""

    __table_args__ = (one_of("dialect", DIALECTS), STRICT)

    name: str = text(primary_key=True)
    dialect: str = text()
    base_url: str = text()
    allow_fields: str = text(default="[]")
    """JSON array of body fields that the operator calls harmless."""
    created_at: int = number()
    kind: str = text(default="")
    """The known server that it is one of; empty where its name says so, or nothing is known."""


class Credential(SQLModel, table=True):
    """A provider's secret, sealed: a user's own, or the operator's where `user_id` is null.

    The operator's key in the environment has a row too (its id is kept), with nothing sealed in it.
    """

    __table_args__ = (
        one_of("state", CREDENTIAL_STATES),
        one_of("source", ["stored", "environment"]),
        check("(source = 'stored') = (sealed <> '') OR removed_at IS NOT NULL", "sealed_when_stored"),
        check("version >= 1", "version_counts"),
        STRICT,
    )

    id: str = text(primary_key=True)
    user_id: str | None = text(foreign_key="user.id", index=True, default=None, nullable=True)
    provider: str = text()
    name: str = text()
    source: str = text(default="stored")
    sealed: str = text(default="")
    """Erased at removal."""
    prefix: str = text(default="")
    """What stands before the first unguessable character, such as sk-."""
    last_four: str = text(default="")
    version: int = number(default=1)
    """Part of what is authenticated with the ciphertext; counts replacements."""
    state: str = text(default="unchecked")
    checked_at: int | None = number(default=None, nullable=True)
    created_at: int = number()
    removed_at: int | None = number(default=None, nullable=True)
    base_url: str = text(default="")
    """Where the server is that it is for, of a person's own server; sealed with the key, which goes nowhere else."""


class OwnPrice(SQLModel, table=True):
    """The operator's own price of a model; the newest row counts, in micro-dollars a million tokens."""

    __tablename__ = "own_price"
    __table_args__ = (check("input >= 0 AND output >= 0", "not_negative"), STRICT)

    provider: str = text(primary_key=True)
    model: str = text(primary_key=True)
    created_at: int = number(primary_key=True)
    input: int = number()
    output: int = number()
    cached_input: int | None = number(default=None, nullable=True)
    cache_write: int | None = number(default=None, nullable=True)
    cache_write_long: int | None = number(default=None, nullable=True)
    """For an hour, where `cache_write` is for minutes."""
    searches: int | None = number(default=None, nullable=True)
    """Micro-dollars a million searches."""


class Markup(SQLModel, table=True):
    """What the operator adds to the prices of a provider's models, in hundredths of a per cent; the newest row counts."""

    __table_args__ = (check("added >= 0", "not_negative"), STRICT)

    provider: str = text(primary_key=True)
    models: str = text(primary_key=True)
    """An id, the beginning of ids with an asterisk, or an asterisk alone."""
    created_at: int = number(primary_key=True)
    added: int = number()


class SigningKey(SQLModel, table=True):
    """A key that signs access tokens or consent receipts; the private part is sealed, the public part is published."""

    __tablename__ = "signing_key"
    __table_args__ = (one_of("purpose", KEY_PURPOSES), STRICT)

    kid: str = text(primary_key=True)
    algorithm: str = text()
    sealed: str = text()
    public_jwk: str = text()
    created_at: int = number()
    retired_at: int | None = number(default=None, nullable=True)
    """From when on nothing that it signed is believed."""
    purpose: str = text(default="token")
    signs_at: int = number(default=0)
    """From when on it signs; it is published before."""


class Seen(SQLModel, table=True):
    """What may be shown once only, by digest: the jti of a client's assertion, of a proof of possession."""

    __table_args__ = (STRICT,)

    digest: str = text(primary_key=True)
    ends_at: int = number()
    """From when on it would be refused for its age alone."""


class AuditEntry(SQLModel, table=True):
    """A security event, written in the transaction of the change it records; people only by pseudonym."""

    __tablename__ = "audit_entry"
    __table_args__ = (STRICT,)

    seq: int | None = number(primary_key=True, default=None)
    at: int = number()
    event: str = text()
    actor: str = text()
    """A pseudonym, a client id, `operator` or `system`."""
    object_id: str = text(index=True)
    details: str = text(default="{}")
    """JSON without secrets, names or addresses of people."""
    digest: str = text(default="")
    """Covers this entry and the digest of the one before it."""
