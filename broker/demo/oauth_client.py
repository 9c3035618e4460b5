"""How the demo app asks for access: the authorization code flow with PKCE and a pushed request, as in any OAuth app."""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import httpx


class NotConnected(Exception):
    """The flow ended without access; its text is for the person in front of the page."""


@dataclass(frozen=True, slots=True)
class Registration:
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the flow, from Connect to the callback."""

    url: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float
    details: list[dict[str, Any]]
    """What was granted, which may be less than was asked."""


class OAuthClient:
    def __init__(self, http: httpx.AsyncClient, registration: Registration) -> None:
        self._http = http
        self._own = registration
        self._metadata: dict[str, Any] = {}

    async def begin(self, details: list[dict[str, Any]]) -> Attempt:
        """Pushes the request (RFC 9126), and says where the browser goes with it."""
        server = await self._discover()
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        pushed = await self._post(
            server["pushed_authorization_request_endpoint"],
            {
                "response_type": "code",
                "client_id": self._own.client_id,
                "redirect_uri": self._own.redirect_uri,
                "state": state,
                "code_challenge": _challenge(verifier),
                "code_challenge_method": "S256",
                "authorization_details": json.dumps(details),
            },
        )
        query = urlencode({"client_id": self._own.client_id, "request_uri": pushed["request_uri"]})
        return Attempt(f"{server['authorization_endpoint']}?{query}", state, verifier)

    async def finish(self, attempt: Attempt, answer: Mapping[str, str], now: float) -> Tokens:
        """Checks that the answer belongs to the attempt, and exchanges its code."""
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise NotConnected("That answer belongs to another attempt. Press Connect to start again.")
        # RFC 9207 §2.4: "clients MUST compare the result to the issuer identifier of the authorization server"
        if answer.get("iss") != self._own.issuer:
            raise NotConnected("That answer did not come from the broker that was asked.")
        if answer.get("error") == "access_denied":
            raise NotConnected("You said no, so this app has no access.")
        if "error" in answer:
            raise NotConnected(answer.get("error_description") or "The broker refused the request.")
        form = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": self._own.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        return await self._token(form, now)

    async def refresh(self, tokens: Tokens, now: float) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token or ""}
        fresh = await self._token(form, now)
        return (
            fresh
            if fresh.refresh_token
            else Tokens(fresh.access_token, tokens.refresh_token, fresh.expires_at, fresh.details)
        )

    async def revoke(self, tokens: Tokens) -> None:
        server = await self._discover()
        await self._post(server["revocation_endpoint"], {"token": tokens.refresh_token or tokens.access_token})

    async def _token(self, form: dict[str, str], now: float) -> Tokens:
        server = await self._discover()
        given = await self._post(server["token_endpoint"], form)
        return Tokens(
            access_token=given["access_token"],
            refresh_token=given.get("refresh_token"),
            expires_at=now + given["expires_in"],
            details=given["authorization_details"],
        )

    async def _discover(self) -> dict[str, Any]:
        """The metadata of the authorization server (RFC 8414), asked for once."""
        if not self._metadata:
            site = urlsplit(self._own.issuer)
            path = f"/.well-known/oauth-authorization-server{site.path}"
            answer = await self._http.get(urlunsplit((site.scheme, site.netloc, path, "", "")))
            found = _json(answer)
            # RFC 8414 §3.3: "The issuer value returned MUST be identical to the authorization server's issuer"
            if answer.status_code != 200 or found.get("issuer") != self._own.issuer:
                raise NotConnected("The broker does not say who it is.")
            self._metadata = found
        return self._metadata

    async def _post(self, address: str, form: dict[str, str]) -> dict[str, Any]:
        # RFC 6749 §2.3.1: identifier and secret are form-encoded before they go into the header.
        who = httpx.BasicAuth(quote(self._own.client_id, safe=""), quote(self._own.client_secret, safe=""))
        answer = await self._http.post(address, data=form, auth=who)
        body = _json(answer)
        if answer.is_success:
            return body
        raise NotConnected(str(body.get("error_description") or "The broker refused the request."))


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
