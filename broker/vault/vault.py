"""Seals and opens secrets: AES-256-GCM with a data key a record, wrapped by a master key that the value names."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.core.errors import Unavailable
from broker.core.handle import Entropy, system_entropy
from broker.core.secret import Secret

KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME_BYTES = 6
_NAMELESS = "v1"
"""What was sealed before master keys had names: any of them may open it."""
_NAMED = "v2:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs; authenticated with it, so that a row copied elsewhere does not open."""

    table: str
    row: str
    owner: str
    provider: str = ""
    version: int = 1
    address: str = ""
    """Where the secret may be sent, where its row says so."""

    def bound(self) -> bytes:
        more = f"\x1f{self.address}" if self.address else ""
        return f"{self.table}\x1f{self.row}\x1f{self.owner}\x1f{self.provider}\x1f{self.version}{more}".encode()


class MasterKey:
    """Wraps data keys; its name stands in what it has sealed, and tells nothing of it."""

    __slots__ = ("_cipher", "name")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a master key has 32 bytes")
        self._cipher = AESGCM(_derive(key, b"wrap"))
        self.name = _derive(key, b"name")[:_NAME_BYTES].hex()

    def __repr__(self) -> str:
        return f"<master key {self.name}>"

    def wrap(self, data_key: bytes, bound: bytes, entropy: Entropy) -> bytes:
        return _encrypt(self._cipher, data_key, bound, entropy)

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        """Raises InvalidTag for what another key has wrapped, or for another place."""
        return _decrypt(self._cipher, wrapped, bound)


class Keys(Protocol):
    """The master keys of this installation as they are now."""

    def sealing(self) -> MasterKey: ...

    def opening(self, name: str) -> Iterator[MasterKey]:
        """The one of this name, or all of them where it is empty."""
        ...


class OneKey:
    """A master key that does not change."""

    def __init__(self, key: bytes) -> None:
        self._key = MasterKey(key)

    def sealing(self) -> MasterKey:
        return self._key

    def opening(self, name: str) -> Iterator[MasterKey]:
        if name in ("", self._key.name):
            yield self._key


class _Envelope(NamedTuple):
    name: str
    wrapped: bytes
    body: str

    @classmethod
    def read(cls, sealed: str) -> "_Envelope":
        """Raises ValueError for what was never sealed."""
        form, wrapped, body = sealed.split(".")
        if form != _NAMELESS and not (form.startswith(_NAMED) and len(form) > len(_NAMED)):
            raise ValueError(form)
        return cls(form[len(_NAMED) :], b64decode(wrapped, validate=True), body)


class Vault:
    """Holds the master keys; gives back secrets only to the code that names their place.

    `root` is what other keys are derived from; a master key that has never been followed by another is its own.
    """

    def __init__(self, keys: Keys | bytes, entropy: Entropy = system_entropy, *, root: bytes | None = None) -> None:
        self._keys: Keys = OneKey(keys) if isinstance(keys, bytes) else keys
        self._root = keys if isinstance(keys, bytes) and root is None else root
        self._entropy = entropy

    def __repr__(self) -> str:
        return "<vault>"

    def mark(self) -> str:
        """What everything begins with that is sealed now."""
        return f"{_NAMED}{self._keys.sealing().name}."

    def seal(self, secret: Secret, place: Place) -> str:
        """Text of the form v2:name of the master key.wrapped data key.ciphertext, both base64 with their nonces in front.

        To be called inside the writing transaction that stores it: a rotation waits for those that are open.
        """
        data_key, bound = self._entropy(KEY_BYTES), place.bound()
        body = _encrypt(AESGCM(data_key), secret.reveal().encode(), bound, self._entropy)
        return self._enclosed(data_key, b64encode(body).decode(), bound)

    def open(self, sealed: str, place: Place) -> Secret:
        """Raises Unavailable when the value was not sealed for this place with a master key that is known here."""
        with _closed(place):
            envelope, bound = _Envelope.read(sealed), place.bound()
            cipher = AESGCM(self._data_key(envelope, bound))
            return Secret(_decrypt(cipher, b64decode(envelope.body, validate=True), bound).decode())

    def reseal(self, sealed: str, place: Place) -> str:
        """The same value under the key that seals now: its data key is wrapped anew, the secret itself stays shut.

        Raises Unavailable as `open` does.
        """
        with _closed(place):
            envelope, bound = _Envelope.read(sealed), place.bound()
            return self._enclosed(self._data_key(envelope, bound), envelope.body, bound)

    def derive(self, purpose: str) -> bytes:
        """A key of its own for one purpose, such as form tokens; never used to seal. A rotation does not change it."""
        if self._root is None:
            raise ValueError("this vault was opened without its root")
        return _derive(self._root, b"derive:" + purpose.encode())

    def _enclosed(self, data_key: bytes, body: str, bound: bytes) -> str:
        key = self._keys.sealing()
        wrapped = b64encode(key.wrap(data_key, bound, self._entropy)).decode()
        return f"{_NAMED}{key.name}.{wrapped}.{body}"

    def _data_key(self, envelope: _Envelope, bound: bytes) -> bytes:
        for key in self._keys.opening(envelope.name):
            with suppress(InvalidTag):
                return key.unwrap(envelope.wrapped, bound)
        raise InvalidTag


@contextmanager
def _closed(place: Place) -> Iterator[None]:
    try:
        yield
    except (ValueError, InvalidTag) as error:
        raise Unavailable(detail=f"a sealed value of {place.table} {place.row} does not open") from error


def _encrypt(cipher: AESGCM, plain: bytes, bound: bytes, entropy: Entropy) -> bytes:
    nonce = entropy(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _decrypt(cipher: AESGCM, blob: bytes, bound: bytes) -> bytes:
    return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], bound)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"broker " + purpose).derive(key)
