"""What others sign, taken apart and verified with one key."""

import json
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from broker.oauth.jws import ALGORITHMS, BadJws, BadKey, parse_jws, parse_key

Private = ECKey | RSAKey | OKPKey
EC, RSA, ED = ECKey.generate_key("P-256"), RSAKey.generate_key(2048), OKPKey.generate_key("Ed25519")
KEY_FOR: dict[str, Private] = {"ES256": EC, "PS256": RSA, "RS256": RSA, "EdDSA": ED, "Ed25519": ED}


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(key: Private, header: dict[str, Any], claims: object = None) -> str:
    """Signs whatever it is told to, with the algorithm that the header names."""
    parts = [encode(json.dumps(part).encode()) for part in (header, {"a": 1} if claims is None else claims)]
    signing_input = ".".join(parts)
    algorithm = JWSRegistry.algorithms[header["alg"]]
    return f"{signing_input}.{encode(algorithm.sign(signing_input.encode(), key))}"


def public(key: Private, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **members}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_verifies_with_its_key_and_with_no_other(algorithm: str) -> None:
    key = KEY_FOR[algorithm]
    signed = parse_jws(sign(key, {"alg": algorithm, "kid": "k"}), 2000)
    assert (signed.header["kid"], signed.claims) == ("k", {"a": 1})
    assert parse_key(public(key)).verifies(signed)
    assert not any(parse_key(public(other)).verifies(signed) for other in (EC, RSA, ED) if other is not key)


def test_one_changed_byte_is_not_verified() -> None:
    header, claims, signature = sign(EC, {"alg": "ES256"}).split(".")
    other = encode(b'{"a":2}')
    assert not parse_key(public(EC)).verifies(parse_jws(f"{header}.{other}.{signature}", 2000))
    short = encode(b"\x01" * 63)
    assert not parse_key(public(EC)).verifies(parse_jws(f"{header}.{claims}.{short}", 2000))


def test_a_key_that_names_its_algorithm_verifies_no_other() -> None:
    """An RSA key could be used with two paddings otherwise, whatever its owner meant."""
    signed = parse_jws(sign(RSA, {"alg": "RS256"}), 2000)
    assert not parse_key(public(RSA, alg="PS256")).verifies(signed)
    assert parse_key(public(RSA, alg="RS256")).verifies(signed)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "es256", "", None, ["ES256"]], ids=repr)
def test_an_algorithm_that_is_not_on_the_list_is_refused(algorithm: object) -> None:
    header = encode(json.dumps({"alg": algorithm}).encode())
    with pytest.raises(BadJws):
        parse_jws(f"{header}.{encode(b'{}')}.AAAA", 2000)


@pytest.mark.parametrize("name", ["crit", "b64"])
def test_a_header_that_changes_the_meaning_is_refused(name: str) -> None:
    with pytest.raises(BadJws):
        parse_jws(sign(EC, {"alg": "ES256", name: ["exp"]}), 2000)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padded": lambda text: text + "=",
    "four parts": lambda text: text.replace(".", "..", 1),
    "a part before": lambda text: "." + text,
    "two parts": lambda text: text.rpartition(".")[0],
    "a space": lambda text: " " + text,
    "not ASCII": lambda text: text + "é",
    "a foreign character": lambda text: text.replace(".", ".*", 1),
    "a header that is a list": lambda text: encode(b"[]") + text[text.index(".") :],
    "a name twice": lambda text: encode(b'{"alg":"ES256","alg":"ES256"}') + text[text.index(".") :],
    "no number": lambda text: encode(b'{"alg":NaN}') + text[text.index(".") :],
    "too long": lambda text: "x" * (len(text) + 2000),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_is_refused(spelling: str) -> None:
    with pytest.raises(BadJws):
        parse_jws(SPELLINGS[spelling](sign(EC, {"alg": "ES256"})), 2000)


CANNOT_VERIFY: dict[str, Any] = {
    "no object": "key",
    "empty": {},
    "private": EC.as_dict(private=True),
    "symmetric": {"kty": "oct", "k": "c2VjcmV0"},
    "a symmetric member": public(EC, k="c2VjcmV0"),
    "another curve": public(EC, crv="P-384"),
    "not on the curve": public(EC, y="AAAA"),
    "no x": public(EC, x=None),
    "for encryption": public(EC, use="enc"),
    "another algorithm": public(EC, alg="ES384"),
    "only signs": public(EC, key_ops=["sign"]),
    "a kid that is a number": public(EC, kid=7),
    "a kty that is a list": public(EC, kty=["EC"]),
    "for agreement": public(ED, crv="X25519"),
    "1024 bits": public(RSA, n=encode(b"\x80" + b"\x01" * 127)),
    "8192 bits": public(RSA, n=encode(b"\x80" + b"\x01" * 1023)),
    "exponent 1": public(RSA, e=encode(b"\x01")),
    "a vast exponent": public(RSA, e=encode(b"\x01" * 200)),
}


@pytest.mark.parametrize("kind", CANNOT_VERIFY)
def test_a_key_that_cannot_or_must_not_verify_is_refused(kind: str) -> None:
    with pytest.raises(BadKey):
        parse_key(CANNOT_VERIFY[kind])


_CHARACTERS = st.sampled_from("AQaz09-_=.{}")
_PARTS = (
    st.binary(max_size=40).map(encode) | st.text(_CHARACTERS, max_size=12) | st.sampled_from(["e30", encode(b"[1]")])
)


@given(st.lists(_PARTS, min_size=1, max_size=5).map(".".join) | st.text(max_size=60))
def test_whatever_is_sent_is_taken_apart_or_refused(text: str) -> None:
    with suppress(BadJws):
        parse_jws(text, 2000)


_MEMBER = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "d"])
_VALUE = st.one_of(
    st.none(),
    st.integers(),
    st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "sig", "AQAB", "", "AA", "A", "é"]),
    st.binary(max_size=80).map(encode),
    st.lists(st.just("verify"), max_size=2),
)


@given(st.sampled_from([public(EC), public(RSA), public(ED), {}]), st.dictionaries(_MEMBER, _VALUE, max_size=3))
def test_whatever_is_registered_is_a_key_or_refused(key: dict[str, Any], changes: Any) -> None:
    with suppress(BadKey):
        assert parse_key({**key, **changes}).algorithms


@given(st.integers(0, 10_000), st.sampled_from(string.ascii_letters + string.digits + "-_.=~"))
def test_a_character_more_or_less_verifies_nothing(place: int, character: str) -> None:
    text = sign(EC, {"alg": "ES256"}, {"a": "b" * 20})
    place %= len(text)
    for other in (text[:place] + character + text[place + 1 :], text[:place] + text[place + 1 :]):
        with suppress(BadJws):
            assert other == text or not parse_key(public(EC)).verifies(parse_jws(other, 2000))


def test_the_thumbprint_is_of_the_key_and_not_of_what_stands_beside_it() -> None:
    assert parse_key(public(EC, kid="a", use="sig")).thumbprint == EC.thumbprint()
