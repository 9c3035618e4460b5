"""Seals and opens secrets: AES-256-GCM with a data key a record, wrapped by the master key."""

from base64 import b64decode, b64encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.core.errors import Unavailable
from broker.core.handle import Entropy, system_entropy
from broker.core.secret import Secret

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = "v1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs; authenticated with it, so that a row copied elsewhere does not open."""

    table: str
    row: str
    owner: str
    provider: str = ""
    version: int = 1

    def bound(self) -> bytes:
        return f"{self.table}\x1f{self.row}\x1f{self.owner}\x1f{self.provider}\x1f{self.version}".encode()


class Vault:
    """Holds the master key; gives back secrets only to the code that names their place."""

    def __init__(self, master_key: bytes, entropy: Entropy = system_entropy) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError("a master key has 32 bytes")
        self._master = AESGCM(_derive(master_key, b"wrap"))
        self._key = master_key
        self._entropy = entropy

    def __repr__(self) -> str:
        return "<vault>"

    def seal(self, secret: Secret, place: Place) -> str:
        """Text of the form v1.wrapped data key.ciphertext, both base64 with their nonces in front."""
        data_key = self._entropy(KEY_BYTES)
        wrapped = self._encrypt(self._master, data_key, place.bound())
        body = self._encrypt(AESGCM(data_key), secret.reveal().encode(), place.bound())
        return ".".join((_FORMAT, b64encode(wrapped).decode(), b64encode(body).decode()))

    def open(self, sealed: str, place: Place) -> Secret:
        """Raises Unavailable when the value was not sealed for this place with this master key."""
        try:
            form, wrapped, body = sealed.split(".")
            if form != _FORMAT:
                raise ValueError(form)
            bound = place.bound()
            data_key = _decrypt(self._master, b64decode(wrapped, validate=True), bound)
            return Secret(_decrypt(AESGCM(data_key), b64decode(body, validate=True), bound).decode())
        except (ValueError, InvalidTag) as error:
            raise Unavailable(detail=f"a sealed value of {place.table} {place.row} does not open") from error

    def derive(self, purpose: str) -> bytes:
        """A key of its own for one purpose, such as form tokens; never used to seal."""
        return _derive(self._key, b"derive:" + purpose.encode())

    def _encrypt(self, cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
        nonce = self._entropy(_NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, plain, bound)


def _decrypt(cipher: AESGCM, blob: bytes, bound: bytes) -> bytes:
    return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], bound)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"broker " + purpose).derive(key)
