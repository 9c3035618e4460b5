"""What was verified is remembered by the digest of the whole token, up to a bound, and forgotten in the order of use."""

from dataclasses import dataclass, field, replace
from hashlib import sha256

import pytest

from broker.core.errors import InvalidToken
from broker.oauth import signing
from broker.oauth.signing import Signer
from broker.oauth.signing_keys import KeyRing, OwnKey
from tests.oauth.test_signing import CLAIMS, HEADER, KEY, NOW, OTHER, RESOURCE, encode, forge
from tests.oauth.world import ISSUER

HERE = NOW * 1_000_000


@dataclass(frozen=True, slots=True)
class CountingKey(OwnKey):
    """Notes each signature that it looks at."""

    looked_at: list[bytes] = field(default_factory=list)

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        self.looked_at.append(signing_input)
        # Not super(): a dataclass with slots is another class than the one that this was written in.
        return OwnKey.verifies(self, signing_input, signature)


class Kept:
    """A signer that keeps three tokens, and how often it has verified one."""

    def __init__(self) -> None:
        self.key = CountingKey(KEY.thumbprint(), "ES256", KEY)
        self.signer = Signer(KeyRing((self.key,)), issuer=ISSUER, resource=RESOURCE, subject_key=b"s" * 32)

    def shows(self, *names: str) -> int:
        """How many signatures were looked at for these tokens, shown one after another."""
        before = len(self.key.looked_at)
        for name in names:
            assert self.signer.verify_access_token(TOKENS[name], HERE).jti == name
        return len(self.key.looked_at) - before


TOKENS = {name: forge(claims=CLAIMS | {"jti": name}) for name in "abcde"}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(signing, "MOST_KEPT", 3)
    return Kept()


def test_a_token_is_verified_once(kept: Kept) -> None:
    assert kept.shows("a", "a", "b", "a", "b") == 2


def test_no_more_are_kept_than_the_bound(kept: Kept) -> None:
    assert kept.shows(*"abcde") == 5
    assert list(kept.signer._verified) == [sha256(TOKENS[name].encode()).digest() for name in "cde"]
    assert kept.shows(*"cde") == 0
    assert kept.shows("a") == 1
    assert len(kept.signer._verified) == 3


def test_the_one_that_was_used_longest_ago_goes_first(kept: Kept) -> None:
    kept.shows(*"abc")
    assert kept.shows("a") == 0  # from now on b is the oldest
    assert kept.shows("d") == 1
    assert kept.shows(*"acd") == 0
    assert kept.shows("b") == 1
    assert kept.shows(*"cd") == 0  # and it was a that went for b
    assert kept.shows("a") == 1


def test_a_refused_token_takes_nobodys_place(kept: Kept) -> None:
    kept.shows(*"abc")
    for number in range(5):
        with pytest.raises(InvalidToken):
            kept.signer.verify_access_token(forge(claims=CLAIMS | {"jti": f"x{number}"}, key=OTHER), HERE)
    assert kept.shows(*"abc") == 0


def test_a_token_that_is_over_is_refused_while_it_is_kept(kept: Kept) -> None:
    kept.shows("a")
    ends = HERE + 60 * 1_000_000
    assert kept.signer.verify_access_token(TOKENS["a"], ends - 1)
    with pytest.raises(InvalidToken):
        kept.signer.verify_access_token(TOKENS["a"], ends)
    assert len(kept.key.looked_at) == 1


def test_another_signature_of_the_same_words_is_another_token(kept: Kept) -> None:
    kept.shows("a")
    words = TOKENS["a"].rpartition(".")[0]
    again = forge(HEADER, CLAIMS | {"jti": "a"})  # each of these signatures has a number of its own
    assert again.rpartition(".")[0] == words
    assert again != TOKENS["a"]
    assert kept.signer.verify_access_token(again, HERE).jti == "a"
    assert len(kept.key.looked_at) == 2
    with pytest.raises(InvalidToken):
        kept.signer.verify_access_token(f"{words}.{encode(bytes(64))}", HERE)


def test_what_was_verified_is_forgotten_with_the_keys(kept: Kept) -> None:
    kept.shows(*"abc")
    kept.signer.use(KeyRing((kept.key,)))
    assert kept.shows(*"abc") == 0
    kept.signer.use(KeyRing((replace(kept.key, retired_at=HERE + 1),)))
    assert kept.shows(*"abc") == 3
    with pytest.raises(InvalidToken):
        kept.signer.verify_access_token(TOKENS["a"], HERE + 1)
