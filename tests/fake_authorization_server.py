"""A provider's authorization server on loopback: rotates refresh tokens, and takes each of them once."""

import asyncio
import json
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import parse_qs, unquote_plus

from tests.fake_provider import Asked, whole

CLIENT_ID, CLIENT_SECRET = "broker here", "canary-client-secret+/="


class AuthorizationServer:
    """`lasts` is how long its access tokens live, in seconds; `down` makes it answer nothing that can be understood."""

    def __init__(self, lasts: int = 3600) -> None:
        self.lasts = lasts
        self.down = False
        self.secret = CLIENT_SECRET
        self.refreshes = 0
        self.challenges: dict[str, str] = {}
        """Code → the challenge it was asked for with."""
        self.good = ""
        self.refresh = ""
        self._number = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.write(whole("Sorry", 503))
            return
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        pair = b64decode(asked.header("authorization").removeprefix("Basic ")).decode().split(":")
        if [unquote_plus(part) for part in pair] != [CLIENT_ID, self.secret]:
            writer.write(whole({"error": "invalid_client"}, 401))
        elif form["grant_type"] == "refresh_token":
            await asyncio.sleep(0.2)  # others come meanwhile
            self.refreshes += 1
            taken, self.refresh = form["refresh_token"] == self.refresh, ""
            writer.write(self.issue() if taken else whole({"error": "invalid_grant"}, 400))
        else:
            expected = self.challenges.pop(form["code"], "")
            made = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            writer.write(self.issue() if made == expected else whole({"error": "invalid_grant"}, 400))

    def tokens(self) -> dict[str, object]:
        self._number += 1
        self.good, self.refresh = f"access-token-{self._number:04d}", f"refresh-token-{self._number:04d}"
        return {
            "access_token": self.good, "refresh_token": self.refresh, "expires_in": self.lasts, "token_type": "Bearer",
        }  # fmt: skip

    def issue(self) -> bytes:
        return whole(json.loads(json.dumps(self.tokens())))
