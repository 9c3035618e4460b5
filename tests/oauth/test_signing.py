"""Access tokens: signed with our key, verified without trusting a word of them."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.errors import InvalidToken, Unavailable
from broker.oauth.signing import Signer, load_or_make_signing_keys
from broker.oauth.signing_keys import KeyRing, OwnKey
from broker.store import signing_keys
from broker.vault.vault import Vault
from tests.oauth.world import ISSUER, World

NOW = 1_763_760_000
RESOURCE = f"{ISSUER}/proxy"
KEY = ECKey.generate_key("P-256", private=True)
OTHER = ECKey.generate_key("P-256", private=True)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "subject",
    "aud": RESOURCE,
    "client_id": "cli_1",
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "tok_1",
    "grant_id": "grt_1",
}
HEADER: dict[str, Any] = {"typ": "at+jwt", "alg": "ES256", "kid": KEY.thumbprint()}
RING = KeyRing((OwnKey(KEY.thumbprint(), "ES256", KEY),))
SIGNER = Signer(RING, issuer=ISSUER, resource=RESOURCE, subject_key=b"s" * 32)


def forge(header: dict[str, Any] | None = None, claims: object = None, key: Any = KEY) -> str:
    """Signs what our own signer would never sign."""
    first = encode(json.dumps(HEADER if header is None else header).encode())
    payload = claims if isinstance(claims, bytes) else json.dumps(CLAIMS if claims is None else claims).encode()
    signing_input = f"{first}.{encode(payload)}"
    if isinstance(key, bytes):
        signature = hmac.digest(key, signing_input.encode(), "sha256")
    else:
        signature = jws.JWSRegistry(algorithms=["ES256"]).get_alg("ES256").sign(signing_input.encode(), key)
    return f"{signing_input}.{encode(signature)}"


def sign(signer: Signer) -> str:
    return signer.sign_access_token(CLAIMS, now=NOW * 1_000_000, ends_at=(NOW + 60) * 1_000_000)


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(token: str, now: int = NOW) -> bool:
    with pytest.raises(InvalidToken):
        SIGNER.verify_access_token(token, now * 1_000_000)
    return True


def test_what_is_signed_verifies_and_names_its_rows() -> None:
    token = sign(SIGNER)
    claims = SIGNER.verify_access_token(token, NOW * 1_000_000)
    assert (claims.jti, claims.grant_id, claims.client_id) == ("tok_1", "grt_1", "cli_1")
    assert (claims.subject, claims.expires_at) == ("subject", NOW + 60)
    assert SIGNER.verify_access_token(forge(), NOW * 1_000_000) == claims


def test_a_token_is_over_in_the_second_it_expires() -> None:
    token = forge()
    assert SIGNER.verify_access_token(token, (NOW + 60) * 1_000_000 - 1)
    assert refused(token, NOW + 60)


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "AT+JWT"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": ["ES256"]},
        {"kid": OTHER.thumbprint()},
        {"kid": None},
        {"kid": ["x"]},
        {"kid": "../../dev/null"},
        {"kid": "k" * 3000},
        {"jwk": KEY.as_dict(private=False)},
        {"jku": "https://canary.example"},
        {"x5u": "https://canary.example"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"b64": False},
        {"unheard": "of"},
    ],
)
def test_a_header_that_is_not_exactly_ours_is_refused(changes: dict[str, Any]) -> None:
    header = {name: value for name, value in (HEADER | changes).items() if value is not None}
    assert refused(forge(header))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ISSUER + "/"},
        {"iss": [ISSUER]},
        {"aud": ISSUER},
        {"aud": [RESOURCE]},
        {"aud": [RESOURCE, "https://elsewhere.example"]},
        {"exp": NOW + 60.5},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": 10**400},
        {"exp": -1},
        {"exp": None},
        {"iat": NOW + 61},
        {"iat": None},
        {"nbf": NOW - 5},
        {"jti": 7},
        {"jti": ""},
        {"jti": None},
        {"sub": 7},
        {"sub": None},
        {"client_id": None},
        {"grant_id": None},
    ],
)
def test_claims_that_are_not_exactly_ours_are_refused(changes: dict[str, Any]) -> None:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    assert refused(forge(claims=claims))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b'{"jti":1,"jti":2}', b'{"exp":NaN}', b"\xff"])
def test_a_payload_that_is_not_one_object_is_refused(payload: bytes) -> None:
    assert refused(forge(claims=payload))


def test_other_keys_sign_nothing_for_us() -> None:
    public = KEY.as_dict(private=False)
    secrets = (KEY.as_pem(private=False), KEY.as_der(private=False), json.dumps(public).encode(), b"", b"secret")
    for key in (OTHER, *secrets, str(public["x"]).encode()):
        assert refused(forge(key=key))
        assert refused(forge(HEADER | {"alg": "HS256"}, key=key))


def test_a_token_with_anything_changed_is_refused() -> None:
    head, body, signature = forge().split(".")
    flipped = bytearray(urlsafe_b64decode(signature + "=="))
    flipped[5] ^= 1
    other_body = encode(json.dumps(CLAIMS | {"exp": NOW + 999}).encode())
    for token in (
        f"{head}.{other_body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-2]}",
        f"{head}.{body}.{signature}AA",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}.x",
        f"{head}.{body}.{encode(bytes(flipped))}",
        f" {head}.{body}.{signature}",
        f"{head}.{body}.{encode(bytes(64))}",
    ):
        assert refused(token)


@pytest.mark.parametrize(
    "token", ["", "null", ".", "..", "a.b.c", "\x7f\xff", "é.é.é", "' OR '1'='1", "a.b.c.d.e", "x" * 2_000_000]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(token)


def test_nothing_longer_than_four_kilobytes_is_parsed() -> None:
    assert refused(forge(claims=CLAIMS | {"pad": "x" * 4096}))
    deep = b"[" * 1400 + b"]" * 1400
    assert refused(f"{encode(deep)}.e30.AA")


def test_the_key_set_shows_public_parts_only() -> None:
    (key,) = KeySet.import_key_set(SIGNER.jwks(NOW)).keys  # type: ignore[arg-type]
    assert key.kid == KEY.thumbprint()
    assert not key.is_private
    assert SIGNER.jwks(NOW)["keys"] == [
        {**KEY.as_dict(private=False), "kid": KEY.thumbprint(), "use": "sig", "alg": "ES256"}
    ]


def test_two_clients_know_a_person_by_two_names() -> None:
    names = {SIGNER.subject("usr_1", "cli_1"), SIGNER.subject("usr_1", "cli_2"), SIGNER.subject("usr_2", "cli_1")}
    assert len(names) == 3
    assert SIGNER.subject("usr_1", "cli_1") in names


async def test_signing_keys_are_made_once_and_sealed(world: World) -> None:
    async def again(tx: AsyncSession) -> Signer:
        return await load_or_make_signing_keys(tx, world.vault, world.clock(), world.settings)

    token = sign(world.signer)
    other = await world.db.write(again)
    assert other.verify_access_token(token, NOW * 1_000_000).jti == "tok_1"
    rows = await world.db.read(signing_keys.every)
    assert sorted(row.purpose for row in rows) == ["receipt", "token"]
    for row in rows:
        assert '"d"' not in row.public_jwk
        assert row.sealed.startswith("v2:")


async def test_another_master_key_opens_no_signing_key(world: World) -> None:
    with pytest.raises(Unavailable):
        await world.db.write(lambda tx: load_or_make_signing_keys(tx, Vault(b"x" * 32), 0, world.settings))
