"""Proofs of possession, each wrong in one thing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from broker.core.errors import OAuthError
from broker.core.strict_json import dumps
from broker.oauth.dpop import MAX_BYTES, Proof, Request, check_proof
from broker.oauth.nonces import Nonces
from tests.oauth.prover import TOKEN, Prover, provers, segment

NOW = 1_763_760_000_400_000
ASKED = Request("POST", TOKEN)
NONCES = Nonces(b"n" * 32, 60)
PROVER = Prover()


def check(
    proof: str, request: Request = ASKED, *, now: int = NOW, window: int = 60, nonces: Nonces | None = None
) -> Proof:
    return check_proof(proof, request, now=now, window=window, nonces=nonces)


def refusal(proof: str, request: Request = ASKED, **terms: Any) -> str:
    with pytest.raises(OAuthError) as caught:
        check(proof, request, **terms)
    return caught.value.error


@pytest.mark.parametrize("prover", provers(), ids=lambda prover: prover.algorithm)
def test_a_right_proof_of_each_kind_is_taken(prover: Prover) -> None:
    proof = check(prover.proof(NOW))
    assert (proof.jkt, proof.algorithm) == (prover.jkt, prover.algorithm)


@pytest.mark.parametrize(
    "claims",
    [
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": None},
        {"htu": TOKEN + "/"},
        {"htu": TOKEN.replace("127.0.0.1", "localhost")},
        {"htu": TOKEN.replace("8080", "8081")},
        {"htu": TOKEN.replace("http:", "https:")},
        {"htu": "/oauth/token"},
        {"htu": [TOKEN]},
        {"htu": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 257},
        {"iat": None},
        {"iat": "1763760000"},
        {"iat": 1763760000.0},
        {"iat": True},
        {"iat": 10**400},
        {"iat": -1},
        {"iat": NOW // 1_000_000 - 600},
        {"iat": NOW // 1_000_000 + 600},
    ],
    ids=str,
)
def test_a_claim_that_is_not_right_refuses(claims: dict[str, Any]) -> None:
    assert refusal(PROVER.proof(NOW, **claims)) == "invalid_dpop_proof"


def test_the_address_may_be_written_in_any_way_that_means_it() -> None:
    for htu in (TOKEN.replace("http", "HTTP"), TOKEN + "?a=b#c", TOKEN.replace("token", "%74oken")):
        assert check(PROVER.proof(NOW, htu)).jkt == PROVER.jkt


@pytest.mark.parametrize(("age", "taken"), [(-11, False), (-10, True), (0, True), (59, True), (60, False)])
def test_it_is_taken_from_ten_seconds_ahead_until_the_window_ends(age: int, taken: bool) -> None:
    proof = PROVER.proof(NOW - age * 1_000_000)
    if taken:
        assert check(proof).jkt == PROVER.jkt
    else:
        assert refusal(proof) == "invalid_dpop_proof"


def test_it_is_remembered_for_longer_than_it_is_taken() -> None:
    issued = NOW // 1_000_000
    proof = PROVER.proof(NOW)
    assert refusal(proof, now=(issued + 60) * 1_000_000) == "invalid_dpop_proof"
    assert check(proof).ends_at == (issued + 120) * 1_000_000


def test_it_is_remembered_by_its_key_its_name_and_its_address() -> None:
    one = check(PROVER.proof(NOW, jti="same"))
    assert check(PROVER.proof(NOW + 1_000_000, TOKEN + "?q", jti="same")).digest == one.digest
    assert check(Prover().proof(NOW, jti="same")).digest != one.digest
    assert check(PROVER.proof(NOW, jti="other")).digest != one.digest
    other = Request("POST", f"{TOKEN}2")
    assert check(PROVER.proof(NOW, other.uri, jti="same"), other).digest != one.digest


@pytest.mark.parametrize(
    "header",
    [{"typ": "JWT"}, {"typ": None}, {"typ": "DPoP+jwt "}, {"jwk": None}, {"jwk": "x"}, {"jwk": {}}, {"crit": ["jti"]}],
    ids=str,
)
def test_a_header_that_is_not_right_refuses(header: dict[str, Any]) -> None:
    assert refusal(PROVER.proof(NOW, header=header)) == "invalid_dpop_proof"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES512", "", None, 5], ids=repr)
def test_an_algorithm_that_is_not_asymmetric_and_known_refuses(algorithm: Any) -> None:
    _, payload, signature = PROVER.proof(NOW).split(".")
    header = dumps({"typ": "dpop+jwt", "alg": algorithm, "jwk": PROVER.jwk})
    for ending in (signature, ""):
        assert refusal(f"{segment(header)}.{payload}.{ending}") == "invalid_dpop_proof"


def test_a_key_that_shows_its_private_part_refuses() -> None:
    private = dict(PROVER.key.as_dict(private=True))
    assert refusal(PROVER.proof(NOW, header={"jwk": private})) == "invalid_dpop_proof"


def test_a_symmetric_key_refuses() -> None:
    shared = OctKey.generate_key(256)
    prover = Prover(shared, "HS256")
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": shared.as_dict(private=True)}
    assert refusal(prover.signed(header, dumps({"iat": NOW // 1_000_000}))) == "invalid_dpop_proof"


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_short_rsa_key_refuses() -> None:
    assert refusal(Prover(RSAKey.generate_key(1024), "PS256").proof(NOW)) == "invalid_dpop_proof"


def test_a_signature_by_another_key_refuses() -> None:
    assert refusal(PROVER.proof(NOW, header={"jwk": Prover().jwk})) == "invalid_dpop_proof"
    assert refusal(PROVER.proof(NOW, header={"jwk": ECKey.generate_key("P-384").as_dict(private=False)}))


def test_a_proof_that_was_changed_refuses() -> None:
    header, payload, signature = PROVER.proof(NOW).split(".")
    later = segment(dumps({"jti": "x", "htm": "POST", "htu": TOKEN, "iat": NOW // 1_000_000}))
    for wrong in (
        f"{header}.{later}.{signature}",
        f"{header}.{payload}.{signature[:-4]}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}=",
        f" {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}, {header}.{payload}.{signature}",
    ):
        assert refusal(wrong) == "invalid_dpop_proof"


def test_a_proof_that_is_too_long_refuses() -> None:
    assert refusal(PROVER.proof(NOW, more="x" * MAX_BYTES)) == "invalid_dpop_proof"


def test_beside_an_access_token_it_names_that_token() -> None:
    beside = Request("GET", TOKEN, "token-a")
    assert check(PROVER.proof(NOW, method="GET", token="token-a"), beside).jkt == PROVER.jkt
    for proof in (PROVER.proof(NOW, method="GET"), PROVER.proof(NOW, method="GET", token="token-b")):
        assert refusal(proof, beside) == "invalid_dpop_proof"


def test_where_nonces_are_wanted_it_names_a_fresh_one_of_ours() -> None:
    fresh = NONCES.at(NOW)
    assert check(PROVER.proof(NOW, nonce=fresh), nonces=NONCES).jkt == PROVER.jkt
    minutes = 60_000_000
    stale, foreign = NONCES.at(NOW - 2 * minutes), Nonces(b"o" * 32, 60).at(NOW)
    for nonce in (None, "", stale, foreign, NONCES.at(NOW + 2 * minutes), fresh + "é"):
        assert refusal(PROVER.proof(NOW, nonce=nonce), nonces=NONCES) == "use_dpop_nonce"
    assert refusal(PROVER.proof(NOW, nonce=7), nonces=NONCES) == "invalid_dpop_proof"


def test_a_nonce_is_taken_for_its_time_and_no_longer_than_twice() -> None:
    begins = NOW - NOW % 60_000_000
    nonce = NONCES.at(begins)
    assert NONCES.has(nonce, begins + 119_000_000)
    assert not NONCES.has(nonce, begins + 120_000_000)


def test_where_none_are_wanted_a_nonce_changes_nothing() -> None:
    assert check(PROVER.proof(NOW, nonce="of another server")).jkt == PROVER.jkt


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_CLAIMS = st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce", "x"]), _JSON)
_JWK = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use", "alg", "kid", "key_ops"]), _JSON)
_HEADER = st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid", "crit"]), _JSON | _JWK)


@given(st.text() | st.lists(st.binary(max_size=40).map(segment), max_size=4).map(".".join))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert refusal(text) == "invalid_dpop_proof"


@given(_HEADER, _CLAIMS)
def test_no_header_and_no_claims_do_more_than_be_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    good = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk}
    for top in (header, good | header):
        assert refusal(f"{segment(dumps(top))}.{segment(dumps(claims))}.{'A' * 86}") == "invalid_dpop_proof"


@given(_JWK, st.sampled_from(["EC", "RSA", "OKP"]))
def test_no_key_does_more_than_be_refused(jwk: dict[str, Any], kind: str) -> None:
    shapes = {
        "EC": {"crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        "RSA": {"n": "AQ", "e": "AQAB"},
        "OKP": {"crv": "Ed25519", "x": "A" * 43},
    }
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": kind, **shapes[kind], **jwk}}
    assert refusal(f"{segment(dumps(header))}.{segment(b'{}')}.{'A' * 86}") == "invalid_dpop_proof"


@given(_CLAIMS)
def test_no_signed_claims_do_more_than_be_refused(claims: dict[str, Any]) -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk}
    assert refusal(PROVER.signed(header, dumps(claims)), nonces=NONCES) == "invalid_dpop_proof"
