"""Values that come and go with time, by which something signed shows that it is new."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from broker.core.clock import from_seconds
from broker.core.handle import same


@dataclass(frozen=True, slots=True)
class Nonces:
    """Values that a proof must name to be a new one; all servers of an installation know each other's (RFC 9449 §8)."""

    key: bytes
    seconds: int
    """Each is taken for as long at least, and for twice as long at most."""

    def at(self, now: int) -> str:
        return self._of(now // from_seconds(self.seconds))

    def has(self, nonce: str, now: int) -> bool:
        present = now // from_seconds(self.seconds)
        # The next one, too: the server that gave it may be a little ahead.
        return any(same(nonce, self._of(slot)) for slot in (present, present - 1, present + 1))

    def _of(self, slot: int) -> str:
        return urlsafe_b64encode(hmac.digest(self.key, f"nonce {slot}".encode(), sha256)).rstrip(b"=").decode()
