"""The keys that sign: made, sealed, published before they are used, and retired once nothing that they signed lives."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, SYSTEM, record
from broker.core.clock import from_seconds, to_seconds
from broker.core.secret import Secret
from broker.core.strict_json import dumps, loads
from broker.settings import Settings
from broker.store import changes, signing_keys, tokens
from broker.store.tables import SigningKey
from broker.vault.places import signing_key_place
from broker.vault.vault import Vault

Purpose = Literal["token", "receipt"]
Algorithm = Literal["ES256", "EdDSA"]

CACHED_SECONDS = 300
"""How long whoever fetched the key set may keep it."""
PUBLISHED_BEFORE = from_seconds(CACHED_SECONDS + 30)
"""A key is published for so long before it signs: until every cache that does not know it has ended."""
SKEW = from_seconds(60)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of ours, opened; instants in microseconds."""

    kid: str
    algorithm: str
    material: ECKey | OKPKey
    signs_at: int = 0
    retired_at: int | None = None

    def sign(self, typ: str, claims: dict[str, object]) -> str:
        """A compact JWS (RFC 7515 §3.1)."""
        header = {"typ": typ, "alg": self.algorithm, "kid": self.kid}
        signing_input = f"{_encoded(dumps(header))}.{_encoded(dumps(claims))}"
        signature = JWSRegistry.algorithms[self.algorithm].sign(signing_input.encode(), self.material)
        return f"{signing_input}.{_encoded(signature)}"

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        try:
            return bool(JWSRegistry.algorithms[self.algorithm].verify(signing_input, signature, self.material))
        except (JoseError, ValueError):
            return False

    def public_jwk(self) -> dict[str, object]:
        return {**self.material.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def is_believed(self, now: int) -> bool:
        return self.retired_at is None or self.retired_at > now


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of each purpose, in the order in which they begin to sign. No key has two purposes."""

    tokens: tuple[OwnKey, ...]
    receipts: tuple[OwnKey, ...] = ()

    def token_key(self, now: int, ends_at: int) -> OwnKey:
        """The key that signs now; a later one for a token that would outlive it, so that no rotation cuts it short."""
        begun = [position for position, key in enumerate(self.tokens) if key.signs_at <= now]
        later = self.tokens[begun[-1] if begun else 0 :]
        return next((key for key in later if key.is_believed(ends_at)), later[-1])


def new_key(algorithm: str, *, signs_at: int = 0) -> OwnKey:
    material: ECKey | OKPKey
    if algorithm == "ES256":
        material = ECKey.generate_key("P-256", private=True)
    else:
        material = OKPKey.generate_key("Ed25519", private=True)
    return OwnKey(material.thumbprint(), algorithm, material, signs_at)  # RFC 7638


async def load_keys(tx: AsyncSession, vault: Vault, now: int) -> KeyRing:
    """Raises Unavailable where the vault does not open them."""
    rows = await signing_keys.not_retired(tx, now)
    return KeyRing(
        tokens=tuple(_opened(row, vault) for row in rows if row.purpose == "token"),
        receipts=tuple(_opened(row, vault) for row in rows if row.purpose == "receipt"),
    )


async def make_missing_keys(tx: AsyncSession, vault: Vault, now: int, settings: Settings) -> None:
    """In a writing transaction. An algorithm that was set anew is changed to by a rotation."""
    rows = await signing_keys.not_retired(tx, now)
    ours = [row for row in rows if row.purpose == "token"]
    if not ours:
        await _add(tx, vault, now, new_key(settings.signing_algorithm, signs_at=now), "token")
    elif ours[-1].algorithm != settings.signing_algorithm:
        await rotate(tx, vault, now, settings, by=SYSTEM)
    if all(row.purpose != "receipt" for row in rows):
        await _add(tx, vault, now, new_key(settings.signing_algorithm, signs_at=now), "receipt")


async def rotate(
    tx: AsyncSession, vault: Vault, now: int, settings: Settings, *, by: str = OPERATOR, at_once: bool = False
) -> SigningKey:
    """Makes the next key of access tokens and says when those before it retire.

    They outlast the tokens that live now and those they still sign. `at_once` is for a key that has leaked: nothing that
    it signed is believed from now on.
    """
    earlier = [row for row in await signing_keys.not_retired(tx, now) if row.purpose == "token"]
    begins = now if at_once else now + PUBLISHED_BEFORE
    signed_last = begins + from_seconds(settings.access_token_seconds)
    end = now if at_once else max(signed_last, await tokens.last_end(tx, now)) + SKEW
    for row in earlier:
        if at_once or row.retired_at is None:
            row.retired_at = end
            tx.add(row)
    added = await _add(tx, vault, now, new_key(settings.signing_algorithm, signs_at=begins), "token")
    await signing_keys.forget_retired(tx, now)
    await changes.bump(tx)
    signs_at, algorithm = to_seconds(begins), added.algorithm
    await record(tx, now, "signing.rotated", by, added.kid, algorithm=algorithm, signs_at=signs_at, at_once=at_once)
    return added


async def _add(tx: AsyncSession, vault: Vault, now: int, key: OwnKey, purpose: Purpose) -> SigningKey:
    private = Secret(dumps(key.material.as_dict(private=True)).decode())
    row = SigningKey(
        kid=key.kid,
        algorithm=key.algorithm,
        sealed=vault.seal(private, signing_key_place(key.kid)),
        public_jwk=dumps(key.public_jwk()).decode(),
        created_at=now,
        purpose=purpose,
        signs_at=key.signs_at,
    )
    await signing_keys.add(tx, row)
    return row


def _opened(row: SigningKey, vault: Vault) -> OwnKey:
    private = loads(vault.open(row.sealed, signing_key_place(row.kid)).reveal().encode())
    if not isinstance(private, dict):
        raise TypeError("a signing key is a JSON object")
    members: dict[str, str | list[str]] = {name: str(value) for name, value in private.items()}
    material = ECKey.import_key(members) if row.algorithm == "ES256" else OKPKey.import_key(members)
    return OwnKey(row.kid, row.algorithm, material, row.signs_at, row.retired_at)


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
